"""A page of sections with tables and charts, for every command that writes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from metrics.common.charts import Chart, curves_with_intervals
from metrics.common.files import write_text
from metrics.common.templates import render
from metrics.common.version import installed_version
from recommend.common.scatter import Scatter


@dataclass(frozen=True)
class PageTable:
    """A head and rows of cells: the first names the row, and a second line of the others is set small.

    Rows of `published` figures are set apart.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    published: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class PageChart:
    """Curves under a caption."""

    caption: str
    chart: Chart


@dataclass(frozen=True)
class Bar:
    """A bar: its name, its value as text, and its length as a share of the longest."""

    name: str
    value: str
    length: float


@dataclass(frozen=True)
class PageBars:
    """Bars under a caption."""

    caption: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class PageSection:
    """A titled part of a page: a note, tables, curves, scatter plots, bars."""

    title: str
    note: str = ""
    tables: Sequence[PageTable] = ()
    charts: Sequence[PageChart] = ()
    plots: Sequence[Scatter] = field(default=())
    bars: Sequence[PageBars] = ()


def page_mark(title: str) -> str:
    """What only a page of ours with this title begins with."""
    return f'<p class="eyebrow">Lookbook</p>\n<h1>{title}</h1>'


def write_page(path: Path, title: str, lede: str, sections: Sequence[PageSection], signature: str) -> None:
    """Write the page to `path`, whatever is there; raises `UserError` if it cannot be written."""
    view = {
        "title": title,
        "lede": lede,
        "sections": sections,
        "signature": signature,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "lookbook": installed_version(),
    }
    write_text(path, render("sections.html.j2", view, "recommend"))


def curves(
    caption: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str
) -> list[PageChart]:
    """Curves through points (x, y), no intervals; none if no series has two points."""
    exact = {name: [(x, y, y, y) for x, y in points] for name, points in series.items()}
    chart = curves_with_intervals(exact, x_label, y_label)
    return [PageChart(caption, chart)] if chart else []
