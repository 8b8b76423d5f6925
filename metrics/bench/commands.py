"""The commands bench-scores and bench-viewer."""

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


@app.command()
@user_errors()
def bench_viewer(
    items: Annotated[int, typer.Option(help="How many items, each with captions of two systems.", min=20)] = 100_000,
) -> None:
    """Measure time and memory of the viewer on a made-up scoring."""
    from metrics.bench.viewer_load import print_viewer_bench

    print_viewer_bench(items)
