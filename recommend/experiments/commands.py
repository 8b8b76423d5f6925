"""The command recommend."""

import typer

from finetune.config.command_line import Overrides, RecipePath, needs_recommend
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Recommendation")


@app.command()
@needs_recommend
@user_errors()
def recommend(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Fit and measure the recommenders of a recipe; their table beside the paper's. Resumes where it stopped."""
    from recommend.experiments.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())

    from recommend.experiments.run import run

    run(loaded, str(recipe))
