"""The table of a sweep: what each cell came to, best first, as JSON, Markdown and on the screen."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.config.recipe import Recipe
from finetune.runs.folder import read_training
from finetune.runs.paths import RunFolder
from finetune.training.caption_evaluation_page import SCORES
from metrics.common.files import make_folder, write_text
from metrics.common.formatting import cell, duration, figure, times_100
from metrics.measures.base import ORDER
from metrics.reports.published import MEASURES
from metrics.scoring.suite import installed_version

NAME = "sweep"
UNBOUNDED = 10_000
Row = dict[str, Any]


def row_of(values: Mapping[str, Any], recipe: Recipe, fault: str | None) -> Row:
    """What is known of a cell: its state and, of what is kept, validation loss, judged and test scores.

    Scores are 0..1 (CIDEr 0..10), losses nats a caption token, times seconds.
    """
    record = read_training(recipe.output)
    state = "failed" if fault else "finished" if record else "waiting"
    row: Row = {"values": dict(values), "output": str(recipe.output), "state": state, "fault": fault}
    if record is None:
        return row
    kept: dict[str, float] = {}
    for entry in record["loss_history"]:
        if entry.get("step") == record["best_step"] and "eval_loss" in entry:
            kept = entry
    judged = {name: kept[f"eval_{name.lower()}"] for name in ORDER if f"eval_{name.lower()}" in kept}
    scores = _read(RunFolder(recipe.output).evaluation / SCORES).get("signatures", {})
    return row | {
        "step": record["best_step"],
        "seconds": sum(spent for name, spent in record["times"].items() if name.startswith("train")),
        "validation_loss": kept.get("eval_loss"),
        "judged": judged,
        "test": _test_scores(recipe.output),
        "signatures": {f"judged {name}": one for name, one in scores.items()} | _signatures(recipe.output),
    }


def write_table(recipe: str, best: str, rows: Sequence[Row], out: Path) -> dict[str, Any]:
    """Write `sweep.{json,md}` into `out`, best first by `best` (loss or a judged measure); return what they hold."""
    make_folder(out)
    ordered = sorted(rows, key=lambda row: _place(row, best))
    table = {"recipe": recipe, "best": best, "lookbook": installed_version(), "cells": ordered}
    write_text(out / f"{NAME}.json", json.dumps(table, ensure_ascii=False, indent=1) + "\n")
    write_text(out / f"{NAME}.md", _markdown(table))
    return table


def show(table: Mapping[str, Any]) -> None:
    """Print the table."""
    printed = Table(title=Text(_title(table)), box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for head in _head(table):
        printed.add_column(Text(head), no_wrap=True)
    for row in table["cells"]:
        printed.add_row(*map(Text, _line(row, table)))
    console = Console()
    widest = console.measure(printed, options=console.options.update(width=UNBOUNDED)).maximum
    Console(width=max(console.width, widest)).print(printed)


def _place(row: Row, best: str) -> tuple[bool, float]:
    value = row.get("validation_loss") if best == "loss" else row.get("judged", {}).get(best)
    return value is None, (value or 0.0) * (1 if best == "loss" else -1)


def _title(table: Mapping[str, Any]) -> str:
    return f"{table['recipe']}, best first by {table['best']}; scores x100"


def _columns(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where scores come from, and the measures that any cell has there; of the test those that papers print."""
    judged = {("judged", name) for row in table["cells"] for name in row.get("judged", {})}
    found = judged | {("test", name) for row in table["cells"] for name in row.get("test", {}) if name in MEASURES}
    return sorted(found, key=lambda column: (column[0], ORDER.index(column[1])))


def _head(table: Mapping[str, Any]) -> list[str]:
    keys = [key.rpartition(".")[2] for key in table["cells"][0]["values"]]
    return [*keys, "validation loss", *(" ".join(column) for column in _columns(table)), "step", "time", "state"]


def _line(row: Row, table: Mapping[str, Any]) -> list[str]:
    seconds = row.get("seconds")
    return [
        *map(str, row["values"].values()),
        figure(row.get("validation_loss"), ".4f"),
        *(times_100(row.get(kind, {}).get(name)) for kind, name in _columns(table)),
        str(row.get("step", "–")),
        "–" if seconds is None else duration(seconds),
        row["state"],
    ]


def _markdown(table: Mapping[str, Any]) -> str:
    head = _head(table)
    rows = [list(map(cell, line)) for line in (head, *(_line(row, table) for row in table["cells"]))]
    lines = [rows[0], ["---"] * len(head), *rows[1:]]
    signatures = sorted(
        {f"- {name}: `{one}`" for row in table["cells"] for name, one in row.get("signatures", {}).items()}
    )
    faults = [f"- {cell(row['output'])}: {cell(row['fault'])}" for row in table["cells"] if row["fault"]]
    parts = [
        [f"# {cell(_title(table))}"],
        ["| " + " | ".join(line) + " |" for line in lines],
        ["Failed:", "", *faults] if faults else [],
        [
            "Judged: a fixed sample of the validation split, at the step that is kept. Lookbook "
            + table["lookbook"]
            + "."
        ],
        signatures,
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _report(folder: Path) -> Mapping[str, Any]:
    """The scores of the trained system on the test split by measure; empty without a report."""
    systems = _read(folder / "report" / "report.json").get("systems", [])
    return next((dict(one["scores"]["all"]) for one in systems if one["kind"] == "finetuned"), {})


def _test_scores(folder: Path) -> dict[str, float]:
    return {name: score["value"] for name, score in _report(folder).items()}


def _signatures(folder: Path) -> dict[str, str]:
    return {f"test {name}": score["signature"] for name, score in _report(folder).items()}


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
