"""Which articles of a catalogue the settings of the paper's Table 1 have."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.data.items import read_items
from metrics.common.errors import UserError
from recommend.interactions.csv_file import require_last_line_break

ORIGINAL, FILTERED, AUGMENTED = "original", "filtered", "augmented"
SETTINGS = (ORIGINAL, FILTERED, AUGMENTED)
ARTICLES_CSV = "articles.csv"
_COLUMNS = ["id", "image", "description", "role"]


@dataclass(frozen=True)
class Articles:
    """The I articles of a catalogue, sorted by id.

    Attributes:
        ids: texts, with their zeros.
        members: by setting, which articles it has (I,): `original` all, `filtered` those of the caption data set,
            `augmented` all with a photo. Without items.parquet only `original` is known.
        filled: articles of `augmented` without a description of their own that a model has described.
        undescribed: those that nobody has described.
    """

    ids: list[str]
    members: dict[str, NDArray[np.bool_]]
    filled: int = 0
    undescribed: int = 0


def read_articles(folder: Path, items: Path | None) -> Articles:
    """Read the articles from `items`, the items.parquet of `lookbook prepare`, else from the folder's articles.csv.

    Raises `UserError` if the table is missing or damaged, lacks a column, or has an id twice.
    """
    path = folder / ARTICLES_CSV if items is None else items
    table = _articles_csv(path) if items is None else _items(path)
    repeated = table["id"][table["id"].duplicated()]
    if len(repeated):
        raise UserError(f"{path}: article {repeated.iloc[0]} is in several rows; ids must be unique")
    table = table.sort_values("id", kind="stable", ignore_index=True)
    every = np.ones(len(table), dtype=bool)
    if items is None:
        return Articles(table["id"].tolist(), {ORIGINAL: every})
    described = (table["description"].fillna("").str.strip() != "").to_numpy()
    photo = (table["image"].notna() & (table["role"] != "dropped: bad image")).to_numpy()
    members = {
        ORIGINAL: every,
        FILTERED: table["role"].isin(("train", "validation", "test")).to_numpy(),
        AUGMENTED: photo,
    }
    filled = photo & described & (table["role"] == "undescribed").to_numpy()
    return Articles(table["id"].tolist(), members, int(filled.sum()), int((photo & ~described).sum()))


def _items(path: Path) -> Any:
    return read_items(path, _COLUMNS)


def _articles_csv(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such file; name the items.parquet of `lookbook prepare` by --items")
    try:
        require_last_line_break(path)
        table = pd.read_csv(path, dtype=str, usecols=["article_id"], keep_default_na=False)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot read the column article_id ({error}); use the file as Kaggle ships it"
        ) from error
    return table.set_axis(["id"], axis=1)
