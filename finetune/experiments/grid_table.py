"""The table that ends a reproduction: published figures beside ours, as JSON, Markdown, HTML and on the screen."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finetune.experiments.grid_cells import GridCell
from metrics.common.files import all_or_none, make_folder, write_text
from metrics.common.formatting import figure
from metrics.common.tables import WideTable, print_tables
from metrics.common.templates import render
from metrics.common.version import installed_version
from metrics.reports.published import (
    KIND,
    MEASURES,
    SOURCE,
    PublishedRow,
    Scores,
    improvable,
    improvement,
    is_published_split,
    printed,
    published_scores,
    unlike_published,
)

NAME = "reproduction"
Report = Mapping[str, Any]


def write_comparison(cells: Sequence[GridCell], reports: Mapping[str, Report], out: Path) -> dict[str, Any]:
    """Write `reproduction.{json,md,html}` into `out` and return the content of the first.

    `reports` has `report.json` of every finished run by the title of its cell; what is missing is shown as a dash.
    """
    make_folder(out)
    comparison = compare(cells, reports)
    filters: dict[str, Callable[..., Any]] = {"lines": lines, "unseen_lines": unseen_lines}
    with all_or_none():
        write_text(out / f"{NAME}.json", json.dumps(comparison, ensure_ascii=False, indent=1) + "\n")
        for form in ("md", "html"):
            write_text(out / f"{NAME}.{form}", render(f"{NAME}.{form}.j2", comparison, "finetune", filters))
    return comparison


def show_comparison(comparison: Mapping[str, Any]) -> None:
    """Print the table of each data set with its warnings below."""
    for dataset in comparison["datasets"]:
        table = WideTable(["", "whose"], comparison["measures"], title=f"{dataset['name']}, x100")
        for line in lines(dataset["rows"]):
            table.add_row(line["title"], line["whose"], *(figure(value) for value, _ in line["cells"]))
        print_tables(table, *dataset["warnings"])


def compare(cells: Sequence[GridCell], reports: Mapping[str, Report]) -> dict[str, Any]:
    """The content of `reproduction.json`. All scores are x100 with one decimal, as the paper prints them."""
    names = dict.fromkeys(row.dataset for row in published_scores())
    by_dataset = {name: [cell for cell in cells if cell.dataset == name] for name in names}
    return {
        "source": SOURCE,
        "lookbook": installed_version(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "measures": list(MEASURES),
        "not_computed": [
            name for name in MEASURES if not any(name in report["measures"] for report in reports.values())
        ],
        "datasets": [_dataset(name, of_name, reports) for name, of_name in by_dataset.items() if of_name],
    }


def _dataset(name: str, cells: Sequence[GridCell], reports: Mapping[str, Report]) -> dict[str, Any]:
    finished = {cell.model: reports[cell.title] for cell in cells if cell.title in reports}
    rows = [_row(row, finished) for row in published_scores() if row.dataset == name]
    first = next(iter(finished.values()), None)
    return {
        "name": name,
        "runs": len(cells),
        "finished": len(finished),
        "catalogue": _catalogue(first) if first else None,
        "unseen_items": first["slices"].get("unseen", 0) if first else 0,
        "warnings": [*_warnings(name, finished)],
        "rows": [*rows, *_baselines(finished.values())],
        "improvement": [*_improvements(rows)],
    }


def _row(row: PublishedRow, finished: Mapping[str, Report]) -> dict[str, Any]:
    system = _system(finished[row.model], KIND[row.setting]) if row.setting and row.model in finished else None
    return {
        "name": row.model,
        "setting": row.setting or "published",
        "published": dict(row.scores),
        "ours": _scores(system, "all"),
        "unseen": _scores(system, "unseen"),
    }


def _baselines(reports: Iterable[Report]) -> Iterator[dict[str, Any]]:
    """Those of all runs, each once: what is looked up depends on the encoder of photos, which runs may share."""
    known: list[Any] = []
    for system in (one for report in reports for one in report["systems"] if one["kind"] == "baseline"):
        lookup = system["run"].get("lookup") or {}
        key = [lookup.get(part) for part in ("rule", "features", "k")] if lookup else system["name"]
        if key not in known:
            known.append(key)
            scores = {"ours": _scores(system, "all"), "unseen": _scores(system, "unseen")}
            yield {"name": system["name"], "setting": "look-up" if lookup else "no photo", "published": {}, **scores}


def _system(report: Report, kind: str) -> dict[str, Any]:
    return next(dict(system) for system in report["systems"] if system["kind"] == kind)


def _scores(system: Report | None, part: str) -> dict[str, float]:
    scores = system["scores"].get(part, {}) if system else {}
    return {name: printed(scores[name]["value"]) for name in MEASURES if name in scores}


def _catalogue(report: Report) -> dict[str, Any]:
    """What our figures were measured on; `as_published` if its split has the published shares and seed."""
    data = _system(report, "finetuned")["run"]["recipe"]["data"]
    return {
        "name": data["catalogue"],
        "split": data["split"]["method"],
        "as_published": is_published_split(data["split"]),
        "test_items": report["slices"]["all"],
    }


def _warnings(name: str, finished: Mapping[str, Report]) -> Iterator[str]:
    for warning in dict.fromkeys(unlike_published(name, **_catalogue(report)) for report in finished.values()):
        if warning:
            yield warning
    if len({_system(report, "finetuned")["run"]["catalogue_fingerprint"] for report in finished.values()}) > 1:
        yield "Our runs do not compare with each other: the catalogue has changed between them (rows or photos)."


def _improvements(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The paper's "% Impr." of each model: published, and theirs and ours over the measures that ours has."""
    by_setting = {(row["name"], row["setting"]): row for row in rows}
    for (name, setting), before in by_setting.items():
        if setting == "PT":
            after = by_setting[name, "FT"]
            over = improvable(before["ours"], after["ours"])
            yield {
                "name": name,
                "published": improvement(before["published"], after["published"]),
                "over": over,
                "published_over": improvement(before["published"], after["published"], over),
                "ours_over": improvement(before["ours"], after["ours"], over),
            }


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The table's lines: each row's published figures, then ours with their difference from those."""
    for row in rows:
        title = f"{row['name']} {row['setting']}" if row["setting"] in KIND else row["name"]
        if row["published"]:
            yield {"title": title, "whose": "published", "cells": [*_cells(row["published"], {})]}
        if row["setting"] != "published":
            title = "" if row["published"] else title
            yield {"title": title, "whose": "ours", "cells": [*_cells(row["ours"], row["published"])]}


def unseen_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same of our scores on items whose reference training never saw."""
    for row in rows:
        if row["unseen"]:
            title = f"{row['name']} {row['setting']}" if row["setting"] in KIND else row["name"]
            yield {"title": title, "whose": "ours", "cells": [*_cells(row["unseen"], {})]}


def _cells(values: Scores, published: Scores) -> Iterator[tuple[float | None, float | None]]:
    for measure in MEASURES:
        value, theirs = values.get(measure), published.get(measure)
        yield value, None if value is None or theirs is None else value - theirs
