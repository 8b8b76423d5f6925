"""The commands that make small models: make-tiny, make-demo-base, make-demo-stanza."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.extras import needs_train
from finetune.options import Limit, Overrides, RecipePath, load
from metrics.common.errors import UserError, user_errors

app = typer.Typer()


@app.command()
@needs_train
@user_errors()
def make_tiny(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Write the tiny, randomly initialised base model a recipe's model.tiny describes to its model.base."""
    from finetune.data import mixture
    from finetune.training import train as training

    loaded = load(recipe, overrides, limit)
    if loaded.model.tiny is None:
        raise UserError(f"{recipe}: model.tiny is missing; it gives the tiny model's shape")
    training.ensure_base(loaded, mixture.prepare_all(loaded.catalogues, loaded.training.seed).whole)
    print(loaded.model.base)


@app.command()
@needs_train
@user_errors()
def make_demo_base(
    out: Annotated[Path, typer.Option(help="the folder of the model")] = Path("finetune/assets/demo-base"),
    recipe: Annotated[Path, typer.Option(help="how it is trained")] = Path("recipes/demo-base.yaml"),
    drawings: Annotated[int, typer.Option(min=100, help="how many drawings it sees")] = 40_000,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE for the recipe")] = None,
) -> None:
    """Pre-train the demo's base model on alt texts of other drawings."""
    from finetune.experiments import demo_base as base

    base.make_demo_base(load(recipe, overrides, None), recipe, drawings, out)


@app.command()
@needs_train
@user_errors()
def make_demo_stanza(
    out: Annotated[Path, typer.Argument(help="the folder of the models")] = Path("finetune/assets/demo-stanza"),
    captions: Annotated[int, typer.Option(min=50, help="how many captions they are trained on")] = 1500,
    steps: Annotated[int, typer.Option(min=100, help="steps of the tokenizer; the tagger takes half as many")] = 600,
) -> None:
    """Train tiny Stanza models on the demo's own captions, whose parts of speech and lemmas are known."""
    from finetune.experiments import demo_stanza as stanza

    print(stanza.make_demo_stanza(out, captions, steps))
