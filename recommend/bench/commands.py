"""The command bench-recommend."""

from typing import Annotated

import typer

from finetune.config.command_line import needs_recommend
from metrics.common.errors import user_errors

app = typer.Typer(rich_help_panel="Benchmarks")


@app.command()
@needs_recommend
@user_errors()
def bench_recommend(
    rows: Annotated[int, typer.Option(help="items of a whole catalogue, of 2,048 numbers each", min=100)] = 105_000,
    million: Annotated[int, typer.Option(help="items of the large index, of 256 numbers each", min=100)] = 1_000_000,
    queries: Annotated[int, typer.Option(help="items that are searched for among all", min=1)] = 10_240,
    full: Annotated[bool, typer.Option("--full", help="search for all items; takes half an hour")] = False,
) -> None:
    """Measure the time of search on made-up features, beside the bare matrix products."""
    from recommend.bench.table import print_bench

    print_bench(rows, million, rows if full else min(queries, rows))
