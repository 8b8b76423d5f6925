"""The commands that write captions: caption, fill, baselines."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import Limit, Overrides, RecipePath, load, needs_train
from metrics.common.errors import user_errors
from metrics.common.ownership import Overwrite

app = typer.Typer(rich_help_panel="Captions")

Change = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="SECTION.KEY=VALUE for the recipe; decoding.KEY=VALUE and, for a folder, data.outside=read need none; "
        "repeatable",
    ),
]


@app.command()
@needs_train
@user_errors()
def baselines(
    recipe: RecipePath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="the folder of the baselines, made if it is missing")],
    overrides: Overrides = None,
    limit: Limit = None,
) -> None:
    """Write the baselines' captions to OUT: two that look at no photo, two that look similar photos up."""
    loaded = load(recipe, overrides, limit)

    from finetune.captioning.lookup import write_all
    from finetune.data.mixture import prepare_all
    from finetune.runs.claim import as_begun

    loaded = as_begun(loaded)
    for path in write_all(loaded, prepare_all(loaded.catalogues, loaded.training.seed).folders(out)):
        print(path)


@app.command()
@needs_train
@user_errors()
def fill(
    place: Annotated[Path, typer.Argument(metavar="CATALOGUE", help="a recipe, or a folder of photos")],
    model: Annotated[str, typer.Option(help="a run's folder, a model's or a Hub id, perhaps @revision")],
    out: Annotated[Path, typer.Option(help="the folder of the new table, its record and the contact sheet")],
    adapter: Annotated[str | None, typer.Option(help="an adapter on that model")] = None,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1, help="withhold less confident ones")] = None,
    words_at_least: Annotated[int, typer.Option(min=1, help="withhold captions of fewer words")] = 1,
    overwrite_short: Annotated[int, typer.Option(min=0, help="also fill descriptions of fewer words")] = 0,
    category: Annotated[list[str] | None, typer.Option(help="fill only this category; repeatable")] = None,
    catalogue: Annotated[str | None, typer.Option(help="which one, of a recipe with several catalogues")] = None,
    limit: Limit = None,
    change: Change = None,
) -> None:
    """Write the descriptions that a catalogue lacks into a copy of its table, and a page to look at them."""
    from finetune.runs.place import catalogue_recipe

    recipe = catalogue_recipe(place, change or [], catalogue, limit, decodes=True)

    from finetune.captioning.filling.rules import Rules
    from finetune.captioning.filling.run_fill import run

    run(
        place,
        recipe,
        catalogue,
        model,
        adapter,
        out,
        Rules(min_confidence, words_at_least, overwrite_short, tuple(category or ())),
        change or [],
    )


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
    limit: Annotated[int | None, typer.Option(min=1, help="caption only the first so many photos")] = None,
    change: Change = None,
    overwrite: Overwrite = False,
) -> None:
    """Write captions for photos, a split of a catalogue or a folder."""
    from finetune.captioning.request import CaptionRequest, check, recipe_of

    request = CaptionRequest(
        photos or [], model, adapter or [], data, split, out, ids, form, name, limit, catalogue, change or [], overwrite
    )
    check(request)
    recipe = recipe_of(request)

    from finetune.captioning.run_request import run

    run(request, recipe)
