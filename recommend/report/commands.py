"""The commands report-features and join-pages."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import RecipePath, load, needs_train
from metrics.common.errors import UserError, user_errors
from metrics.common.formatting import printable
from metrics.common.ownership import Overwrite

app = typer.Typer(rich_help_panel="Recommendation")


@app.command()
@needs_train
@user_errors()
def report_features(
    recipe: RecipePath,
    out: Annotated[Path | None, typer.Option(help="folder; default: `features` in the recipe's output")] = None,
    photo: Annotated[str, typer.Option(help="encoder of the photos")] = "efficientnet-lite0",
    text: Annotated[str, typer.Option(help="encoder of the descriptions")] = "tfidf",
    resolution: Annotated[int | None, typer.Option(help="pixels of a side, of efficientnet-lite0 or a ResNet")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="a column to compare; repeatable; default: H&M's or fashion-product's five")
    ] = None,
    colour_by: Annotated[
        list[str] | None,
        typer.Option(help="a column that colours maps; repeatable; default: categories, or attributes"),
    ] = None,
) -> None:
    """Embed a catalogue and write one page: similar items, precision, reduction, maps, clusters, methods of search."""
    loaded = load(recipe)
    if len(loaded.catalogues) > 1:
        raise UserError(f"{recipe}: mixes several catalogues; give a recipe of one")

    from finetune.data.feature_cache import FeatureStore
    from metrics.common.ownership import claim_folder
    from recommend.report.page import CONTENTS, write_joined
    from recommend.report.steps import PHOTO, prepare, run, stores, studies
    from recommend.report.table import chosen_columns

    folder = out or loaded.output / "features"
    page = folder / "features.html"
    claim_folder(folder, CONTENTS)
    before, items = [prepare(recipe), *stores(recipe, folder, photo, text, resolution)], loaded.output / "items.parquet"
    run(before[0])
    columns = chosen_columns(items, attribute or (), colour_by or ())
    for step in before[1:]:
        run(step)
    steps = studies(folder, items, columns, len(FeatureStore.open(folder / PHOTO)))
    for step in steps:
        run(step)
    write_joined(page, loaded.output.name, before, steps, columns.left_out)
    if columns.left_out:
        print(printable(f"left out: {columns.left_out}"))
    print(page)


@app.command()
@needs_train
@user_errors()
def join_pages(
    pages: Annotated[list[Path], typer.Argument(metavar="PAGE...", help="HTML pages that other commands wrote")],
    out: Annotated[Path, typer.Option(help="the page to write")],
    title: Annotated[str, typer.Option(help="its heading")] = "Pages",
    overwrite: Overwrite = False,
) -> None:
    """Write one page with the pages of other commands, such as those of `make demo-recommend`."""
    from recommend.report.page import check_joined
    from recommend.report.page import join_pages as work

    check_joined(out, pages, overwrite)
    work(out, title, pages)
    print(out)
