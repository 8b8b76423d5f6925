"""The catalogue that a command is given: a recipe, or a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.config.catalogues import HM, CatalogueSection, Columns, Folder
from finetune.config.command_line import with_limit
from finetune.config.errors import parse
from finetune.config.overrides import apply_override
from finetune.config.recipe import Recipe
from finetune.runs.claim import load_begun
from metrics.common.errors import UserError
from metrics.records.column_names import CAPTIONS

DECODING, OUTSIDE = "decoding.", "data.outside="  # how overrides begin that need no recipe
_SHOWN = {DECODING: "decoding.KEY=VALUE", OUTSIDE: "data.outside=read"}


def catalogue_recipe(
    place: Path, overrides: Sequence[str], catalogue: str | None, limit: int | None = None, *, decodes: bool = False
) -> Recipe | None:
    """The recipe at `place` as its run was begun, None for a folder.

    Raises `UserError` if there is neither, or if something is asked for that a folder does not have. Of the overrides,
    a folder has `data.outside`, and who `decodes` applies those of `decoding` to it, too.
    """
    if not place.exists():
        raise UserError(f"{place}: no such recipe or folder")
    if place.is_file():
        return load_begun(place, with_limit(list(overrides), limit))
    if limit is not None:
        raise UserError("--limit: applies only to a recipe; leave it out")
    refuse_without_recipe(overrides, catalogue, (DECODING, OUTSIDE) if decodes else (OUTSIDE,))
    return None


def refuse_without_recipe(overrides: Sequence[str], catalogue: str | None, applied: tuple[str, ...]) -> None:
    """Raise `UserError` if something is asked for that only a recipe has; `applied`: how other overrides begin."""
    others = [override for override in overrides if not override.startswith(applied)]
    if others:
        known = " and ".join(_SHOWN[beginning] for beginning in applied)
        raise UserError(f"--set {others[0]}: changes a recipe, and none is given; without one only {known} can be set")
    if catalogue is not None:
        raise UserError("--catalogue chooses among the catalogues of a recipe: give one instead of a folder")


def with_outside(section: CatalogueSection, overrides: Sequence[str]) -> CatalogueSection:
    """The section of a folder with `data.outside` as the overrides say. Raises `UserError` for an unknown value."""
    values: dict[str, Any] = {"data": section.model_dump(exclude_unset=True)}
    for override in overrides:
        if override.startswith(OUTSIDE):
            apply_override(values, override)
    return parse(type(section), values["data"], "--set")


def folder_section(folder: Path, overrides: Sequence[str] = ()) -> CatalogueSection:
    """A folder in H&M's layout, or any other with photos and perhaps a table (metadata.csv, ...) of descriptions.

    Broken photos are left out, and named; `overrides` as for `with_outside`. Raises `UserError` as that, and if no
    column has a usual name for descriptions.
    """
    return with_outside(_usual_section(folder), overrides)


def _usual_section(folder: Path) -> CatalogueSection:
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
