"""The commands compose-train and compose."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import Overrides, needs_train
from metrics.common.errors import user_errors
from metrics.common.ownership import Overwrite

app = typer.Typer(rich_help_panel="Recommendation")


@app.command()
@needs_train
@user_errors()
def compose_train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="such as recipes/composed/demo.yaml")],
    overrides: Overrides = None,
) -> None:
    """Train composed retrieval on FashionIQ's layout; R@10 and R@50 beside photo only, text only, sum and random."""
    from recommend.retrieval.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())

    from recommend.retrieval.run import compose_train as work

    for path in work(loaded):
        print(path)


@app.command()
@needs_train
@user_errors()
def compose(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run of compose-train")],
    image: Annotated[str, typer.Option(help="the reference: a photo's id in the run, or a file")],
    text: Annotated[str, typer.Option(help="how what is wanted differs, such as `is shorter and red`")],
    category: Annotated[str | None, typer.Option(help="find only this category; default: that of an id")] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="how many photos")] = 10,
    html: Annotated[Path | None, typer.Option(help="a page with the photos")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Find photos like a reference, but different as a text says."""
    from recommend.retrieval.compose import ComposedSearch, show
    from recommend.retrieval.sheet import check_sheet, write_sheet

    if html is not None:
        check_sheet(html, overwrite)
    searched = ComposedSearch(run)
    found = searched.find(image, text, category, k)
    if html is not None:
        write_sheet(searched, found, html)
    show(found, json)
    if html is not None and not json:
        print(html)
