"""The commands from a recipe to a trained model: prepare, make-tiny, train."""

from typing import Annotated

import typer

from finetune.config.command_line import Limit, Overrides, RecipePath, load, needs_train
from metrics.common.errors import UserError, user_errors
from metrics.common.screen import say

app = typer.Typer(rich_help_panel="Training")


@app.command()
@needs_train
@user_errors()
def prepare(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Load, split and cache the catalogues; write references-*.jsonl, items.parquet and each one's card."""
    loaded = load(recipe, overrides, limit)

    from finetune.data.card.page import write_card
    from finetune.data.mixture import prepare_all
    from finetune.data.preparation import write_tables
    from finetune.runs.claim import as_begun, own_output, refuse_other_data

    loaded = as_begun(loaded)
    refuse_other_data(loaded)
    prepared = prepare_all(loaded.catalogues, loaded.training.seed)
    own_output(loaded)
    say(prepared.describe())
    for part, folder in prepared.folders(loaded.output):
        for path in [*write_tables(part, folder), *write_card(part, folder)]:
            print(path)


@app.command()
@needs_train
@user_errors()
def make_tiny(recipe: RecipePath, overrides: Overrides = None, limit: Limit = None) -> None:
    """Write the tiny, randomly initialised base model a recipe's model.tiny describes to its model.base."""
    loaded = load(recipe, overrides, limit)
    if loaded.model.tiny is None:
        raise UserError(f"{recipe}: model.tiny is missing; it gives the tiny model's shape")

    from finetune.data.mixture import prepare_all
    from finetune.training.train import ensure_base

    ensure_base(loaded, prepare_all(loaded.catalogues, loaded.training.seed).whole)
    print(loaded.model.base)


@app.command()
@needs_train
@user_errors()
def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    limit: Limit = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue from the last checkpoint of the output")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="measure time and memory of a few steps; keep nothing")
    ] = False,
    init_from: Annotated[
        str | None, typer.Option(help="begin with this adapter: its folder, its run's, or a Hub id")
    ] = None,
) -> None:
    """Fine-tune as RECIPE says; --resume continues from the last checkpoint, --init-from starts from an adapter.

    --dry-run measures a step and keeps nothing.
    """
    if dry_run and (resume or init_from):
        raise UserError("--dry-run keeps nothing that could be resumed; leave --resume and --init-from out")
    loaded = load(recipe, overrides, limit)

    from finetune.runs.claim import as_begun
    from finetune.training import dry_run as dry
    from finetune.training import train as training

    loaded = as_begun(loaded)
    if dry_run:
        dry.dry_run(loaded)
    else:
        training.train(loaded, str(recipe), resume=resume, init_from=init_from)
