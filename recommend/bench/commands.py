"""The command bench-recommend."""

from typing import Annotated, Literal

import typer

from finetune.config.command_line import needs_recommend
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Benchmarks")

Part = Literal["search", "embed", "purchases"]


@app.command()
@needs_recommend
@user_errors()
def bench_recommend(
    part: Annotated[Part | None, typer.Option(help="measure this alone; default: all parts")] = None,
    rows: Annotated[int, typer.Option(help="items of a whole catalogue, of 2,048 numbers each", min=100)] = 105_000,
    million: Annotated[int, typer.Option(help="items of the large index, of 256 numbers each", min=100)] = 1_000_000,
    queries: Annotated[int, typer.Option(help="items that are searched for among all", min=1)] = 10_240,
    full: Annotated[bool, typer.Option("--full", help="search for all items; takes half an hour")] = False,
    photos: Annotated[int, typer.Option(help="photos that are encoded at each size", min=1)] = 512,
    embedded: Annotated[
        list[int] | None, typer.Option(help="items that embed writes; repeatable; default: 10,000 and 300,000", min=1)
    ] = None,
    purchases: Annotated[
        list[int] | None, typer.Option(help="how many; repeatable; default: 1,000,000 and H&M's 31,788,324", min=10_000)
    ] = None,
) -> None:
    """Measure the time of search beside the bare matrix products, of embed and of recommenders, on made-up items."""
    from recommend.bench.embed_table import print_embed
    from recommend.bench.purchase_table import print_purchases
    from recommend.bench.table import print_environment, print_search

    print_environment()
    if part in (None, "search"):
        print_search(rows, million, rows if full else min(queries, rows))
    if part in (None, "embed"):
        print_embed(photos, embedded or [10_000, 300_000])
    if part in (None, "purchases"):
        print_purchases(purchases or [1_000_000, 31_788_324])
