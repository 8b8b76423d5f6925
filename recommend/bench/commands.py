"""The command bench-recommend."""

from typing import Annotated, Literal

import typer

from finetune.config.command_line import needs_recommend
from metrics.common.errors import user_errors

Part = Literal["search", "purchases"]

app = typer.Typer(rich_help_panel="Benchmarks")


@app.command()
@needs_recommend
@user_errors()
def bench_recommend(
    rows: Annotated[int, typer.Option(help="items of a whole catalogue, of 2,048 numbers each", min=100)] = 105_000,
    million: Annotated[int, typer.Option(help="items of the large index, of 256 numbers each", min=100)] = 1_000_000,
    queries: Annotated[int, typer.Option(help="items that are searched for among all", min=1)] = 10_240,
    full: Annotated[bool, typer.Option("--full", help="search for all items; takes half an hour")] = False,
    part: Annotated[Part, typer.Option(help="what is measured")] = "search",
    purchases: Annotated[
        list[int] | None, typer.Option(help="how many; repeatable; default: 1,000,000 and H&M's 31,788,324", min=10_000)
    ] = None,
) -> None:
    """Measure search on made-up features beside the bare matrix products, or recommenders on made-up purchases."""
    from recommend.bench.table import print_bench, print_purchases

    if part == "purchases":
        print_purchases(purchases or (1_000_000, 31_788_324))
    else:
        print_bench(rows, million, rows if full else min(queries, rows))
