"""The table of an ablation: as JSON, as Markdown and on the screen."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.common.files import all_or_none, make_folder, write_text
from metrics.common.formatting import figure, percent, times_100
from metrics.common.tables import WideTable, print_tables
from metrics.common.templates import render
from metrics.common.version import installed_version

NAME = "ablation"
HEADINGS = ("validation loss", "CIDEr x100", "words", "end on their own", "ms a step", "speed")
Row = Mapping[str, Any]


def write_table(rows: Sequence[Row], out: Path) -> Path:
    """Write `ablation.{json,md}` into `out` and return the second; speeds are relative to a model's first row."""
    make_folder(out)
    content = {"lookbook": installed_version(), "headings": HEADINGS, "models": list(_models(rows))}
    with all_or_none():
        write_text(out / f"{NAME}.json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        write_text(out / f"{NAME}.md", render(f"{NAME}.md.j2", content, "finetune", {"cells": cells}))
    return out / f"{NAME}.md"


def _models(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        yield {"name": name, "rows": [dict(row) | {"speed": _speed(own[0], row)} for row in own]}


def _speed(first: Row, row: Row) -> float | None:
    """How many times faster a step is than the first row's; None if one of them was not timed."""
    return first["step_s"] / row["step_s"] if first["step_s"] and row["step_s"] else None


def cells(row: Row) -> list[str]:
    """The figures of a row as they are printed."""
    return [
        figure(row["validation_loss"], ".4f"),
        times_100(row["CIDEr"]),
        figure(row["words"]),
        percent(row["finished"]),
        figure(row["step_s"] * 1000, ".0f") if row["step_s"] else "–",
        figure(row["speed"], ".2f") + "x" if row["speed"] else "–",
    ]


def show(rows: Sequence[Row]) -> None:
    """Print a table for each model."""
    for model in _models(rows):
        table = WideTable([""], HEADINGS, title=model["name"])
        for row in model["rows"]:
            table.add_row(row["title"], *cells(row))
        print_tables(table)
