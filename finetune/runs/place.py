"""The catalogue that a command is given: a recipe, or a folder."""

from collections.abc import Sequence
from pathlib import Path

from finetune.config.catalogues import HM, CatalogueSection, Columns, Folder
from finetune.config.command_line import with_limit
from finetune.config.recipe import Recipe
from finetune.runs.claim import load_begun
from metrics.common.errors import UserError
from metrics.records.column_names import CAPTIONS

DECODING = "decoding."  # how overrides begin that need no recipe


def catalogue_recipe(
    place: Path, overrides: Sequence[str], catalogue: str | None, limit: int | None = None, *, decodes: bool = False
) -> Recipe | None:
    """The recipe at `place` as its run was begun, None for a folder.

    Raises `UserError` if there is neither, or if something is asked for that a folder does not have. Who `decodes`
    applies overrides of `decoding` to a folder, too.
    """
    if not place.exists():
        raise UserError(f"{place}: no such recipe or folder")
    if place.is_file():
        return load_begun(place, with_limit(list(overrides), limit))
    if limit is not None:
        raise UserError("--limit: applies only to a recipe; leave it out")
    refuse_without_recipe(overrides, catalogue, decodes=decodes)
    return None


def refuse_without_recipe(overrides: Sequence[str], catalogue: str | None, *, decodes: bool = False) -> None:
    """Raise `UserError` if something is asked for that only a recipe has; `decodes` as in `catalogue_recipe`."""
    others = [override for override in overrides if not (decodes and override.startswith(DECODING))]
    if others:
        known = f"; without one only {DECODING}KEY=VALUE can be set" if decodes else ""
        raise UserError(f"--set {others[0]}: changes a recipe, and none is given{known}")
    if catalogue is not None:
        raise UserError("--catalogue chooses among the catalogues of a recipe: give one instead of a folder")


def folder_section(folder: Path) -> CatalogueSection:
    """A folder in H&M's layout, or any other with photos and perhaps a table (metadata.csv, ...) of descriptions.

    Broken photos are left out, and named. Raises `UserError` if no column has a usual name for descriptions.
    """
    if (folder / "articles.csv").is_file() and (folder / "images").is_dir():
        return HM(catalogue="hm", folder=str(folder), on_bad_image="skip")
    from finetune.data.catalogues.folder import FolderLoader  # noqa: PLC0415  # they import `datasets` and `pandas`
    from finetune.data.catalogues.tables import read_values  # noqa: PLC0415

    section = Folder(catalogue="folder", folder=str(folder), on_bad_image="skip")
    table = FolderLoader(section).table()
    if table is None or table.path is None:
        return section
    if table.caption is None:
        raise UserError(
            f"{table.path}: expected a column of descriptions, called {', '.join(CAPTIONS[:-1])} or {CAPTIONS[-1]}; "
            f"found {', '.join(read_values(table.path))}; name it in a recipe (data.columns.caption), and give that"
        )
    return section.model_copy(update={"columns": Columns(caption=table.caption)})
