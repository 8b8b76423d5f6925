"""The command rank."""

import typer

from finetune.config.command_line import Overrides, RecipePath, needs_recommend
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Recommendation")


@app.command()
@needs_recommend
@user_errors()
def rank(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Rank candidates by boosted trees, with and without captions or photos as features. Resumes where it stopped."""
    from recommend.ranker.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())

    from recommend.ranker.run import run

    run(loaded, str(recipe))
