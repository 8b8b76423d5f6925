"""The command bench-scores."""

from typing import Annotated

import typer

from metrics.common.errors import user_errors
from metrics.measures.commands import StanzaModels

app = typer.Typer(rich_help_panel="Benchmarks")


@app.command()
@user_errors()
def bench_scores(
    full: Annotated[bool, typer.Option("--full", help="A whole catalogue; takes half an hour.")] = False,
    stanza: StanzaModels = "en",
) -> None:
    """Compare time, memory and values with those of the official scorers."""
    from metrics.bench.table import print_bench

    print_bench(full, stanza)
