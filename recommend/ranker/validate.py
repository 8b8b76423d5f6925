"""`lookbook validate` on recipes of rankers; the entry point `lookbook.recipe_checks`."""

from collections.abc import Sequence
from pathlib import Path

from finetune.config.command_line import needs_recommend


@needs_recommend
def validate(path: Path, overrides: Sequence[str]) -> None:
    """Check a recipe and all that it reads; print what its periods are like. Raises `UserError`."""
    from recommend.ranker.recipe import load_recipe  # noqa: PLC0415  # pydantic is in the extra `train`

    recipe = load_recipe(path, overrides)

    from recommend.ranker.check import check  # noqa: PLC0415  # after the recipe is known to be right

    check(recipe, str(path))
