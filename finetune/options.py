"""What commands share: a recipe, what is changed in it, how much of the data."""

from pathlib import Path
from typing import Annotated, Any

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="change the recipe")]
Limit = Annotated[int | None, typer.Option(min=1, help="at most this many articles of each split")]


def load(path: Path, overrides: list[str] | None, limit: int | None) -> Any:
    """The recipe at `path` with its changes. Raises `UserError`."""
    from finetune.config.recipe import load_recipe

    return load_recipe(path, with_limit(overrides, limit))


def with_limit(overrides: list[str] | None, limit: int | None) -> list[str]:
    """The changes, `--limit` among them."""
    return [*(overrides or []), *([f"data.limit={limit}"] if limit else [])]
