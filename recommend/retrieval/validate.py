"""`lookbook validate` on recipes of composed retrieval; the entry point `lookbook.recipe_checks`."""

from collections.abc import Sequence
from pathlib import Path

from finetune.config.command_line import needs_train


@needs_train
def validate(path: Path, overrides: Sequence[str]) -> None:
    """Check a recipe and the files that it reads; print what there is to train on. Raises `UserError`."""
    from recommend.retrieval.recipe import load_recipe  # noqa: PLC0415  # pydantic is in the extra `train`

    recipe = load_recipe(path, overrides)

    from recommend.retrieval.run import check  # noqa: PLC0415  # after the recipe is known to be right

    check(recipe, str(path))
