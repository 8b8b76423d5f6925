"""`lookbook validate` on recipes of recommenders; the entry point `lookbook.recipe_checks`."""

from collections.abc import Sequence
from pathlib import Path

from finetune.config.command_line import needs_recommend


@needs_recommend
def validate(path: Path, overrides: Sequence[str]) -> None:
    """Check a recipe, its purchases and features; print the time and memory of each row. Raises `UserError`."""
    from recommend.experiments.recipe import load_recipe  # noqa: PLC0415  # pydantic is in the extra `train`

    recipe = load_recipe(path, overrides)

    from recommend.experiments.check import check  # noqa: PLC0415  # after the recipe is known to be right

    check(recipe, str(path))
