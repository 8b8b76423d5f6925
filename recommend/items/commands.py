"""The command similar."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.config.command_line import needs_recommend
from metrics.common.errors import UserError, user_errors
from metrics.common.ownership import Overwrite

app = typer.Typer(rich_help_panel="Recommendation")


@app.command()
@needs_recommend
@user_errors()
def similar(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE [STORE]", help="stores of features: photos, texts, or one of each")
    ],
    key: Annotated[list[str] | None, typer.Option("--id", help="an item; repeatable")] = None,
    photo: Annotated[Path | None, typer.Option(help="a photo's file")] = None,
    sentence: Annotated[str | None, typer.Option(help="a description")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="so many items, drawn with a fixed seed")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every item; writes --out")] = False,
    k: Annotated[int, typer.Option("--k", help="how many similar items")] = 5,
    weight: Annotated[float, typer.Option(help="the first store's share of the cosine, of two")] = 0.5,
    centre: Annotated[bool, typer.Option(help="subtract each store's mean vector")] = True,
    items: Annotated[Path | None, typer.Option(help="items.parquet or its folder, to filter and show")] = None,
    category: Annotated[str | None, typer.Option(help="find only this category; `same`: the query's")] = None,
    colour: Annotated[str | None, typer.Option(help="find only this colour; `same`: the query's")] = None,
    siblings: Annotated[bool, typer.Option(help="find items of the query's own product")] = True,
    category_column: Annotated[str | None, typer.Option(help="column of the categories")] = None,
    colour_column: Annotated[str | None, typer.Option(help="column of the colours")] = None,
    index: Annotated[
        str, typer.Option(help="exact; by faiss fp16, flat or ivf; auto: fp16 above 20,000 items")
    ] = "auto",
    out: Annotated[Path | None, typer.Option(help="with --all: the table of neighbours (Parquet)")] = None,
    html: Annotated[Path | None, typer.Option(help="a page with photos, each store's neighbours side by side")] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="folder of the photos, if not the store's catalogue; of several it has theirs by name"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Find the items most similar to an item, a photo or a sentence, by photos, by texts, or by both."""
    given = [bool(key), photo is not None or sentence is not None, sample is not None, everything]
    if sum(given) != 1:
        raise UserError("give one of: --id, --photo and/or --sentence, --sample, --all")
    if everything != (out is not None):
        raise UserError("--all and --out FILE belong together: the table of every item's neighbours")
    if everything and (html or json or index not in ("auto", "exact")):
        raise UserError("--all is exact and writes --out alone; leave out --html, --json and --index")

    from recommend.items.catalogue import Filters
    from recommend.items.similar import SimilarItems

    filters = Filters(category, colour, siblings)
    opened = SimilarItems(stores, items, weight, centre, index, category_column, colour_column)
    if out is not None:
        from recommend.items.neighbours import write_neighbours

        rows, short = write_neighbours(opened, k, filters, out, overwrite)
        lacking = f"; {short:,} items have fewer than {k}" if short else ""
        print(f"{out}: {rows:,} neighbours of {len(opened.vectors):,} items{lacking}")
        return
    from recommend.items.answers import answer

    answer(opened, key or [], photo, sentence, sample, k, filters, html, images, json, overwrite)
