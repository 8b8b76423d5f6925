"""Recipes of other packages, which `lookbook validate` hands to them."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from finetune.config.overrides import read_yaml

# Who has recipes of another kind registers here, under the name of a section that only these have, a function which
# checks the recipe at a path with overrides, and prints what it will take.
GROUP = "lookbook.recipe_checks"
Check = Callable[[Path, Sequence[str]], None]


def check_of(path: Path) -> Check | None:
    """The check of the recipe at `path` if it is of another kind. Raises `UserError` if it cannot be read."""
    sections = read_yaml(path, "recipe")
    found = next((entry for entry in entry_points(group=GROUP) if entry.name in sections), None)
    check: Check | None = found.load() if found else None
    return check
