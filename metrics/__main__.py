"""Command line: `python -m metrics score captions.jsonl ... --out DIR`."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metrics.captions import read_records
from metrics.errors import user_errors
from metrics.report import write_report
from metrics.suite import Evaluation, score_systems
from metrics.systems import load_systems

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Measure captions: BLEU-1..4, ROUGE-L and CIDEr, as the COCO caption tools compute them."""


@app.command()
@user_errors()
def score(
    captions: Annotated[list[Path], typer.Argument(help="captions.jsonl of each system, side by side in the report.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.md, report.json and items.jsonl.")],
    references: Annotated[
        Path | None, typer.Option(help="File of references; it says which items there are. Default: the records' own.")
    ] = None,
) -> None:
    """Score captions and write the report."""
    given = read_records(references) if references else None
    evaluation = score_systems(load_systems(captions), given)
    report = write_report(evaluation, out)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    console.print(_table(evaluation))
    console.print(Text(f"report: {report}"), soft_wrap=True)


@app.command()
@user_errors()
def bench(
    full: Annotated[bool, typer.Option("--full", help="101,225 pairs, a whole catalogue, instead of 10,000.")] = False,
) -> None:
    """Compare time, memory and values with those of the official scorers."""
    from metrics.benchmark import ALL_PAIRS, PAIRS
    from metrics.benchmark_table import print_bench

    print_bench(ALL_PAIRS if full else PAIRS)


def _table(evaluation: Evaluation) -> Table:
    table = Table(caption="x100, as papers print them", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("slice", "n", "system"):
        table.add_column(heading, overflow="fold")
    for measure in evaluation.measures:
        table.add_column(measure, justify="right")
    for name, places in evaluation.slices.items():
        for result in evaluation.results:
            values = [f"{result.scores[name][measure].value * 100:.1f}" for measure in evaluation.measures]
            table.add_row(name, str(len(places)), Text(result.system.name), *values)
        table.add_section()
    return table


if __name__ == "__main__":
    app(prog_name="python -m metrics")
