"""The commands that write captions: caption, baselines."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import Limit, Overrides, RecipePath, load, needs_train
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Captions")


@app.command()
@needs_train
@user_errors()
def baselines(recipe: RecipePath, out: Path, overrides: Overrides = None, limit: Limit = None) -> None:
    """Write the captions of the two baselines that look at no photo to OUT."""
    loaded = load(recipe, overrides, limit)

    from finetune.captioning.baselines import write_baselines
    from finetune.data.mixture import prepare_all
    from finetune.runs.claim import as_begun

    loaded = as_begun(loaded)
    for part, folder in prepare_all(loaded.catalogues, loaded.training.seed).folders(out):
        for path in write_baselines(part, folder):
            print(path)


@app.command()
@needs_train
@user_errors()
def caption(
    photos: Annotated[list[Path] | None, typer.Argument(help="photos to caption on the screen")] = None,
    model: Annotated[str, typer.Option(help="a run's folder, a model's or a Hub id, perhaps @revision")] = "",
    adapter: Annotated[
        list[str] | None, typer.Option(help="an adapter on that model: a folder, a run's or a Hub id; repeatable")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="a recipe, or a folder of photos")] = None,
    catalogue: Annotated[str | None, typer.Option(help="which one, of a recipe with several catalogues")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation, test, undescribed or all")] = None,
    out: Annotated[Path | None, typer.Option(help="where the captions go; run.json goes next to them")] = None,
    ids: Annotated[Path | None, typer.Option(help="a file with one id a line: caption only these")] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl, csv or parquet")] = "jsonl",
    name: Annotated[str | None, typer.Option(help="the system's name in reports")] = None,
    limit: Limit = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="SECTION.KEY=VALUE for the recipe")] = None,
) -> None:
    """Write captions for photos, a split of a catalogue or a folder."""
    from finetune.captioning.request import CaptionRequest, check, recipe_of

    request = CaptionRequest(
        photos or [], model, adapter or [], data, split, out, ids, form, name, limit, catalogue, change or []
    )
    check(request)
    recipe = recipe_of(request)

    from finetune.captioning.run_request import run

    run(request, recipe)
