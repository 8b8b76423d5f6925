"""The table of a sweep: the results of each cell, best first, as JSON, Markdown and on the screen."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.config.recipe import Recipe
from finetune.runs.folder import RunFolder
from finetune.runs.training_record import read_training
from finetune.training.caption_evaluation_page import SCORES
from metrics.common.files import all_or_none, make_folder, read_json_object, write_text
from metrics.common.formatting import cell, duration, figure, times_100
from metrics.common.measure_names import ORDER
from metrics.common.tables import WideTable, print_tables
from metrics.common.version import installed_version
from metrics.records.json_reader import JsonReader
from metrics.reports.published import MEASURES

NAME = "sweep"
REMEDY = "remove it and start again"
Row = dict[str, Any]


def row_of(values: Mapping[str, Any], recipe: Recipe, error: str | None) -> Row:
    """What is known of a cell: its state and, at its best step, validation loss, validation and test scores.

    Scores are 0..1 (CIDEr 0..10), losses nats a caption token, times seconds.
    """
    record = read_training(recipe.output)
    state = "failed" if error else "finished" if record else "waiting"
    row: Row = {"values": dict(values), "output": str(recipe.output), "state": state, "error": error}
    if record is None:
        return row
    best: Mapping[str, float] = {}
    for entry in record.loss_history:
        if entry.get("step") == record.best_step and "eval_loss" in entry:
            best = entry
    scores = {name: best[f"eval_{name.lower()}"] for name in ORDER if f"eval_{name.lower()}" in best}
    scores_file = RunFolder(recipe.output).evaluation / SCORES
    signatures = JsonReader(_read(scores_file), str(scores_file), REMEDY).mapping("signatures")
    of_validation = {f"validation {name}": signature for name, signature in signatures.items()}
    return row | {
        "step": record.best_step,
        "seconds": sum(seconds for name, seconds in record.times.items() if name.startswith("train")),
        "validation_loss": best.get("eval_loss"),
        "validation": scores,
        "test": _test_scores(recipe.output),
        "signatures": of_validation | _test_signatures(recipe.output),
    }


def write_table(recipe: str, best: str, rows: Sequence[Row], out: Path) -> dict[str, Any]:
    """Write `sweep.{json,md}` into `out`, best first by `best` (loss or a measure); return what they hold."""
    make_folder(out)
    ordered = sorted(rows, key=lambda row: _place(row, best))
    table = {"recipe": recipe, "best": best, "lookbook": installed_version(), "cells": ordered}
    with all_or_none():
        write_text(out / f"{NAME}.json", json.dumps(table, ensure_ascii=False, indent=1) + "\n")
        write_text(out / f"{NAME}.md", _markdown(table))
    return table


def show(table: Mapping[str, Any]) -> None:
    """Print the table."""
    printed = WideTable(_head(table), title=_title(table))
    for row in table["cells"]:
        printed.add_row(*_line(row, table))
    print_tables(printed)


def _place(row: Row, best: str) -> tuple[bool, float]:
    value = row.get("validation_loss") if best == "loss" else row.get("validation", {}).get(best)
    return value is None, (value or 0.0) * (1 if best == "loss" else -1)


def _title(table: Mapping[str, Any]) -> str:
    return f"{table['recipe']}, best first by {table['best']}; scores x100"


def _columns(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Splits, and the measures that any cell has of them; of the test split those that papers print."""
    validation = {("validation", name) for row in table["cells"] for name in row.get("validation", {})}
    test = {("test", name) for row in table["cells"] for name in row.get("test", {}) if name in MEASURES}
    return sorted(validation | test, key=lambda column: (column[0] == "test", ORDER.index(column[1])))


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
        {f"- {name}: `{value}`" for row in table["cells"] for name, value in row.get("signatures", {}).items()}
    )
    errors = [f"- {cell(row['output'])}: {cell(row['error'])}" for row in table["cells"] if row["error"]]
    parts = [
        [f"# {cell(_title(table))}"],
        ["| " + " | ".join(line) + " |" for line in lines],
        ["Failed:", "", *errors] if errors else [],
        [
            "Validation scores: captions of a fixed sample of the validation split, at the best step. Lookbook "
            + table["lookbook"]
            + "."
        ],
        signatures,
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _report(folder: Path) -> dict[str, JsonReader]:
    """The scores of the trained system on the test split by measure; empty without a report."""
    path = RunFolder(folder).report_json
    systems = JsonReader(_read(path), str(path), REMEDY).each("systems")
    tuned = next((one.inside("scores").inside("all") for one in systems if one.text("kind") == "finetuned"), None)
    return {name: tuned.inside(name) for name in tuned.values} if tuned else {}


def _test_scores(folder: Path) -> dict[str, float]:
    values = {name: score.number("value") for name, score in _report(folder).items()}
    return {name: value for name, value in values.items() if value is not None}


def _test_signatures(folder: Path) -> dict[str, str]:
    return {f"test {name}": score.text("signature") or "" for name, score in _report(folder).items()}


def _read(path: Path) -> dict[str, Any]:
    return read_json_object(path, REMEDY) if path.is_file() else {}
