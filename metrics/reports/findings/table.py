"""The rates of all kinds side by side, for the tables of reports and comparisons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metrics.common.formatting import between, percent
from metrics.scoring.suite import SLICES

_REFERENCES = "the references"
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A rate as it is printed: `12.4%`, `36 of 290`, `9.0–16.7`; empty where there is none."""

    rate: str
    count: str
    interval: str


@dataclass(frozen=True, slots=True)
class RateTable:
    """Rows of kinds (a title and a cell for each column); the references are the first column."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def rate_table(findings: Json, names: Sequence[str], systems: Sequence[Json]) -> RateTable:
    """Return the table of `count_findings`' results; `systems` are its entries of the systems called `names`."""
    return RateTable((_REFERENCES, *names), tuple(_rows(findings, systems)))


def _rows(findings: Json, systems: Sequence[Json]) -> Iterator[tuple[str, Sequence[Cell]]]:
    for kind in findings["kinds"]:
        parts = [findings["references"].get(kind["name"], {}), *(system[kind["name"]]["rates"] for system in systems)]
        for name in SLICES if kind["by_slice"] else ("all",):
            if any(name in part for part in parts):
                title = kind["title"] if name == "all" else f"{kind['title']}, {name} items"
                yield title, [_cell(part.get(name)) for part in parts]


def _cell(rate: Json | None) -> Cell:
    if rate is None or rate["rate"] is None:
        return Cell("–", "", "")
    counted = f"{rate['count']:,} of {rate['n']:,}" if "count" in rate else ""
    return Cell(percent(rate["rate"]), counted, between(rate["interval"]) if rate["interval"] else "")
