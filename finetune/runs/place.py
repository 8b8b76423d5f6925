"""The catalogue that a command is given: a recipe, or a folder."""

import csv
from collections.abc import Sequence
from pathlib import Path

from finetune.config.catalogues import HM, CatalogueSection, Columns, Folder
from finetune.config.command_line import with_limit
from finetune.config.recipe import Recipe
from finetune.runs.claim import load_begun
from metrics.common.errors import UserError
from metrics.common.files import refuse_special

DESCRIPTIONS = ("caption", "description", "text")  # what the column of a folder's metadata.csv may be called


def catalogue_recipe(
    place: Path, overrides: Sequence[str], catalogue: str | None, limit: int | None = None
) -> Recipe | None:
    """The recipe at `place` as its run was begun, None for a folder.

    Raises `UserError` if there is neither, or if something is asked for that a folder does not have.
    """
    if not place.exists():
        raise UserError(f"{place}: no such recipe or folder")
    if place.is_file():
        return load_begun(place, with_limit(list(overrides), limit))
    if limit is not None:
        raise UserError("--limit: applies only to a recipe; leave it out")
    refuse_without_recipe(overrides, catalogue)
    return None


def refuse_without_recipe(overrides: Sequence[str], catalogue: str | None) -> None:
    """Raise `UserError` if something is asked for that only a recipe has."""
    if overrides:
        raise UserError("--set changes a recipe: give one instead of a folder")
    if catalogue is not None:
        raise UserError("--catalogue chooses among the catalogues of a recipe: give one instead of a folder")


def folder_section(folder: Path) -> CatalogueSection:
    """A folder in H&M's layout, or any other with photos and perhaps a metadata.csv with a column of descriptions.

    Broken photos are left out, and named.
    """
    if (folder / "articles.csv").is_file() and (folder / "images").is_dir():
        return HM(catalogue="hm", folder=str(folder), on_bad_image="skip")
    table = folder / "metadata.csv"
    others = [path.name for path in folder.glob("metadata.*") if path != table]
    if others and not table.is_file():
        raise UserError(f"{folder / others[0]}: name its columns in a recipe (data.columns), and give that")
    if not table.is_file():
        return Folder(catalogue="folder", folder=str(folder), on_bad_image="skip")
    columns = Columns(caption=_descriptions(table))
    return Folder(catalogue="folder", folder=str(folder), columns=columns, on_bad_image="skip")


def _descriptions(table: Path) -> str:
    refuse_special(table)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: cannot read its header: {error}; save it as UTF-8") from error
    found = next((name for name in DESCRIPTIONS if name in header), None)
    if found is None:
        raise UserError(
            f"{table}: expected a column {', '.join(DESCRIPTIONS[:-1])} or {DESCRIPTIONS[-1]}, found "
            f"{', '.join(header)}; name it in a recipe (data.columns.caption), and give that"
        )
    return found
