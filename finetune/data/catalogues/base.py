"""What every catalogue gives: one table with the same columns, and an account of every row left out."""

import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import pandas as pd

from finetune.config.catalogues import SPLITS, CatalogueSection
from finetune.data.catalogues.photo_names import shown
from metrics.common.errors import UserError

Keys = TypeVar("Keys", bound=CatalogueSection)

COLUMNS = ("id", "product_id", "image", "caption", "category", "colour", "attributes")


@dataclass
class Catalogue:
    """A catalogue in memory.

    `described` and `undescribed` have the columns `COLUMNS`: `image` is a path relative to `folder` (or the photo's
    bytes if the catalogue is no folder), `attributes` a dict of strings; `undescribed` has no captions.
    `counts` has how many articles each step of the preparation left, `dropped` which ones each rule dropped,
    `bad_images` what is wrong with photos left out, `image_sizes` how many there are of each size ("width x height").
    `notes` has further lines on the preparation under titles, `problems` what is wrong with the photos of items, by id.
    A catalogue that comes divided has a further column `split` (train, validation, test): its published split.
    `items` has every row of its table (`finetune.data.items`). `fingerprinted` has the attributes that its fingerprint
    knows, each by the name that it had when that was first taken; None: all, by their names.
    """

    name: str
    folder: Path | None
    described: pd.DataFrame
    undescribed: pd.DataFrame
    counts: list[tuple[str, int]] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    bad_images: list[str] = field(default_factory=list)
    image_sizes: Counter[str] = field(default_factory=Counter)
    notes: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    items: pd.DataFrame = field(default_factory=pd.DataFrame)
    fingerprinted: Mapping[str, str] | None = None

    def drop(self, rule: str, keep: "pd.Series[bool]", step: str) -> None:
        """Keep the described rows where `keep` is true; name the others under `rule`, count the rest as `step`."""
        self.dropped[rule] = self.described.loc[~keep, "id"].tolist()
        self.described = self.described.loc[keep].reset_index(drop=True)
        self.counts.append((step, len(self.described)))


@dataclass(frozen=True)
class SourceTable:
    """The file that a catalogue's descriptions are in, row by row its items, and their column; either may be None.

    `path` is None for photos without a table, `caption` if no column is known to have descriptions; `encoding` is that
    of a text without a byte order mark (None: UTF-8).
    """

    path: Path | None
    caption: str | None
    encoding: str | None = None


@dataclass(frozen=True)
class Loader(ABC, Generic[Keys]):
    """Reads the catalogue that a data section of a recipe names."""

    section: Keys

    @abstractmethod
    def check(self) -> None:
        """Raise `UserError` if the files that the section names are missing or its table is wrong; reads no photo."""

    @abstractmethod
    def load(self) -> Catalogue:
        """Read the catalogue, every row kept or counted."""

    def table(self) -> SourceTable | None:
        """The table that could be written with new descriptions; None if there is no such file."""
        return None


def check_catalogue(catalogue: Catalogue) -> None:
    """Raise `UserError` if a catalogue lacks a column, has an id twice, or names an unknown split."""
    for table in (catalogue.described, catalogue.undescribed):
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise UserError(f"catalogue {catalogue.name}: column(s) {', '.join(missing)} missing")
    ids = pd.concat([catalogue.described["id"], catalogue.undescribed["id"]])
    if ids.duplicated().any():
        raise UserError(f"catalogue {catalogue.name}: id {ids[ids.duplicated()].iloc[0]} is in several rows")
    unknown = set(catalogue.described.get("split", ())) - set(SPLITS)
    if unknown:
        raise UserError(f"catalogue {catalogue.name}: split {min(unknown)!r}: expected one of {', '.join(SPLITS)}")


def existing_folder(value: str, key: str) -> Path:
    """A folder named in a recipe, `$VARIABLES` and `~` expanded. Raises `UserError` if it is missing or not UTF-8."""
    unset = [name for name in re.findall(r"\$\{?(\w+)\}?", value) if not os.environ.get(name)]
    if unset:
        raise UserError(f"{key}: {value}: set the environment variable, for example {unset[0]}=/path/to/it")
    folder = Path(os.path.expandvars(value)).expanduser()
    if not folder.is_dir():
        raise UserError(f"{key}: {folder}: no such folder")
    folder = folder.resolve()
    if shown(str(folder)) != str(folder):
        raise UserError(f"{key}: {shown(str(folder))}: its path is not UTF-8; rename it")
    return folder


def require_unique_ids(table: pd.DataFrame, source: Path | str) -> None:
    """Raise `UserError` naming ids that are in several rows, or the row that has none."""
    missing = (table["id"] == "").to_numpy()
    if missing.any():
        raise UserError(f"{source}: row {missing.argmax() + 2} has no id; every item needs one")
    repeated = table["id"][table["id"].duplicated()].unique()
    if len(repeated):
        shown = ", ".join(repeated[:5])
        raise UserError(f"{source}: {len(repeated)} id(s) are in several rows: {shown}; ids must be unique")
