"""Captions files in, a report or a comparison out, and its table on the screen: what `score` and `compare` do."""

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from metrics.common.files import check_folder
from metrics.measures.base import Measure
from metrics.records.captions import CaptionRecord, read_records
from metrics.records.systems import load_systems
from metrics.reports.comparison import check_choices, write_comparison
from metrics.reports.comparison_tables import notes_on, screen_tables
from metrics.reports.published import MEASURES
from metrics.reports.report import write_report
from metrics.scoring.suite import Evaluation, score_systems

_UNBOUNDED = 10_000


def score_files(
    captions: Sequence[Path], out: Path, measures: Sequence[Measure], references: Path | None = None
) -> None:
    """Score captions files side by side, write the report into `out` and print its table.

    Raises:
        UserError: as `load_systems`, `score_systems` and `write_report`.
    """
    systems = load_systems(captions)
    check_folder(out)
    evaluation = score_systems(systems, _given(references), measures)
    report = write_report(evaluation, out)
    absent = [f"{measure}: {reason}" for measure, reason in evaluation.absent.items()]
    _show([_table(evaluation), *map(Text, absent), Text(f"report: {report}")])


def compare_files(
    captions: Sequence[Path],
    out: Path,
    measures: Sequence[Measure],
    references: Path | None = None,
    published: str | None = None,
    against: str | None = None,
) -> None:
    """Score captions files, write the comparison into `out` and print its tables; arguments as `write_comparison`'s.

    Raises:
        UserError: as `load_systems`, `score_systems` and `write_comparison`.
    """
    systems = load_systems(captions)
    check_choices([system.name for system in systems], published, against)
    check_folder(out)
    evaluation = score_systems(systems, _given(references), measures)
    comparison = write_comparison(evaluation, out, published, against)
    notes = [*comparison["warnings"], *notes_on(comparison), f"tables: {out / 'comparison.html'}"]
    _show([*screen_tables(comparison), *map(Text, notes)])


def _given(references: Path | None) -> list[CaptionRecord] | None:
    return read_records(references) if references else None


def _show(parts: Sequence[Table | Text]) -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    unbounded = console.options.update(width=_UNBOUNDED)
    widest = max(console.measure(part, options=unbounded).maximum for part in parts if isinstance(part, Table))
    console = Console(width=max(console.width, widest))
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


def _table(evaluation: Evaluation) -> Table:
    """The measures that papers print; the report has all."""
    shown = [name for name in MEASURES if name in evaluation.measures]
    table = Table(caption="x100, as papers print them", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("slice", "n", "system"):
        table.add_column(heading, no_wrap=True)
    for measure in shown:
        table.add_column(measure, justify="right", no_wrap=True)
    for name, places in evaluation.slices.items():
        for result in evaluation.results:
            values = [f"{result.scores[name][measure].value * 100:.1f}" for measure in shown]
            table.add_row(name, str(len(places)), Text(result.system.name), *values)
        table.add_section()
    return table
