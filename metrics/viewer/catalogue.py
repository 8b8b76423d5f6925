"""The catalogue that photos and metadata come from: a folder, or what a package makes of its recipe."""

from importlib.metadata import entry_points
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.processes import in_own_process
from metrics.common.version import DISTRIBUTION

# Who reads recipes registers here a function from a recipe's path to what `catalogue_of` returns.
GROUP = "lookbook.recipe_catalogues"


def catalogue_of(place: Path) -> tuple[Path | None, Path | None]:
    """Return the folder that photos' paths start from, and the table of items; None for what there is none of.

    Args:
        place: that folder, which is taken to have no table of items, or a recipe.

    Raises:
        UserError: when there is no such folder or recipe, or the recipe cannot be read.
    """
    if place.is_dir():
        return place, None
    if not place.is_file():
        raise UserError(
            f"--images: expected a recipe, or the folder that the photos' paths start from; found no {place}"
        )
    if not entry_points(group=GROUP):
        raise UserError(f"--images {place}: recipes are read by the extra train: pip install '{DISTRIBUTION}[train]'")
    return in_own_process(_read, place)  # what reading a recipe takes is free again after it


def _read(recipe: Path) -> tuple[Path | None, Path | None]:
    [reader, *_] = entry_points(group=GROUP)
    folder, table = reader.load()(recipe)
    return folder, table
