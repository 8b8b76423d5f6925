"""The report: scored-references.jsonl, items.jsonl, report.json, report.md and one self-contained report.html."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metrics.common.charts import loss_chart
from metrics.common.files import all_or_none, atomic_writer, one_line, write_text
from metrics.common.measure_names import HEADLINE, MAXIMUM, meanings
from metrics.common.ownership import Contents, claim_folder
from metrics.common.secrets import without_secrets
from metrics.common.templates import render
from metrics.common.version import installed_version
from metrics.records.captions import RECORDS_MARK, write_records
from metrics.records.run import CatalogueInfo
from metrics.reports import confidence
from metrics.reports import measure_charts as details
from metrics.reports.equal_baselines import equal_baselines, joined_rows
from metrics.reports.findings.counting import count_findings
from metrics.reports.findings.photos import scores_by_photo
from metrics.reports.findings.table import rate_table
from metrics.reports.samples import choose_samples, shown_measures
from metrics.reports.summary import build_summary
from metrics.reports.titles import captions_title
from metrics.scoring.clusters import Clusters
from metrics.scoring.suite import SLICES, Evaluation, SystemScores, finite, warnings_about

# Parts of report.json that reports of earlier states of this version lack; add a new one, and they are made again.
NEW_PARTS = frozenset({"summary", "findings", "confidence", "equal_baselines"})
REPORT = Contents(
    {
        "report.json": '"lookbook": ',
        "report.md": "by Lookbook ",
        "report.html": '<p class="eyebrow">Lookbook report',
        "items.jsonl": ('"system": ', '"seen": '),
        "scored-references.jsonl": RECORDS_MARK,
    },
    record="report.json",
    beside=("captions.*", "run.json", "scoring.json", "baselines.json", "ratings.sqlite"),
)


def write_report(
    evaluation: Evaluation, out: Path, training: Collection[str] | None = None, images: Path | None = None
) -> Path:
    """Write what a scoring gave into the folder `out` and return its `report.html`.

    `scored-references.jsonl` has the items, `items.jsonl` each system's caption of each with its own scores;
    `report.json`, `report.md` and `report.html` have the report. `out` is made if missing; all files appear,
    or none. `training`: the captions that the systems were trained on, to find copies of them.
    `images`: the folder that photos are relative to; default: the catalogue folder of the runs.

    Raises:
        UserError: when the folder is not ours, or it or a file cannot be written.
    """
    claim_folder(out, REPORT)
    report = without_secrets(build_report(evaluation, training))
    with all_or_none():
        _write(out, evaluation, report, images)
    return out / "report.html"


def _write(out: Path, evaluation: Evaluation, report: dict[str, Any], images: Path | None) -> None:
    write_records(out / "scored-references.jsonl", evaluation.items)
    with atomic_writer(out / "items.jsonl") as handle:
        handle.writelines(f"{_dump(row)}\n" for row in _item_rows(evaluation))
    write_text(out / "report.json", _dump(report, indent=1) + "\n")
    view = {"report": report, "evaluation": evaluation, "groups": choose_samples(evaluation, images)}
    view |= {"shown_scores": shown_measures(evaluation), "loss_chart": loss_chart, "slice_words": SLICES}
    view |= {"headline": [name for name in HEADLINE if name in evaluation.measures], "details": details}
    systems = report["systems"]
    view["rates"] = rate_table(
        report["findings"], [one["name"] for one in systems], [one["findings"] for one in systems]
    )
    view |= {"score_rows": joined_rows(report["systems"], report["equal_baselines"]), "confidence": confidence}
    view |= {"meanings": meanings(evaluation.measures)}
    write_text(out / "report.md", render("report.md.j2", view))
    write_text(out / "report.html", render("report.html.j2", view))


def build_report(evaluation: Evaluation, training: Collection[str] | None = None) -> dict[str, Any]:
    """Return the content of `report.json`: scores with their signatures, counts, what goes wrong, each `run.json`.

    Values are 0..1 (CIDEr 0..10).
    """
    runs = [result.system.run for result in evaluation.results if result.system.run]
    findings = count_findings(evaluation, training)
    further = zip(evaluation.results, findings.pop("systems"), scores_by_photo(evaluation), strict=True)
    return {
        "title": captions_title(evaluation),
        "summary": build_summary(evaluation),
        "lookbook": installed_version(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "slices": {name: len(places) for name, places in evaluation.slices.items()},
        "clusters": {name: _clusters(one) for name, one in evaluation.clusters.items()},
        "warnings": warnings_about(evaluation),
        "measures": list(evaluation.measures),
        "maximum": {name: MAXIMUM[name] for name in evaluation.measures},
        "absent": dict(evaluation.absent),
        "best": _best(evaluation),
        "leak_audits": _distinct(dict(run.leak_audit) for run in runs),
        "leak_notes": list(dict.fromkeys(run.leak_note for run in runs if run.leak_note)),
        "catalogues": _distinct(_describe_catalogue(run.catalogue) for run in runs),
        "findings": findings,
        "systems": [
            _describe(result) | {"findings": found, "by_photo": by_photo} for result, found, by_photo in further
        ],
        "equal_baselines": equal_baselines(evaluation),
        "confidence": confidence.build_confidence(evaluation),
    }


def _clusters(clusters: Clusters) -> dict[str, Any]:
    return {"n": len(clusters.labels), "unit": clusters.unit, "clusters": len(clusters)}


def _distinct(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    distinct: list[dict[str, Any]] = []
    for part in parts:
        if any(part.values()) and part not in distinct:
            distinct.append(part)
    return distinct


def _describe_catalogue(catalogue: CatalogueInfo) -> dict[str, Any]:
    return {
        "name": catalogue.name,
        "title": catalogue.called,
        "counts": [{"step": step, "articles": articles} for step, articles in catalogue.counts],
        "split_method": catalogue.split_method,
        "split_sizes": dict(catalogue.split_sizes),
    }


def _describe(result: SystemScores) -> dict[str, Any]:
    run = result.system.run
    records = list(result.system.captions.values())
    known = [record.finished for record in records if record.finished is not None]
    words = [len((record.caption or "").split()) for record in records]
    return {
        "name": result.system.name,
        "kind": run.kind if run else None,
        "source": str(result.system.source) if result.system.source else None,
        "captions": len(records),
        "missing": list(result.missing),
        "empty": list(result.empty),
        "mean_words": sum(words) / len(words) if words else None,
        "finished": sum(known) / len(known) if known else None,
        "scores": {
            name: {
                measure: {"value": score.value, "interval": list(score.interval), "signature": score.signature}
                for measure, score in scores.items()
            }
            for name, scores in result.scores.items()
        },
        "details": dict(result.details),
        "run": dict(run.raw) if run else None,
    }


def _best(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    return {
        name: {
            measure: max(result.scores[name][measure].value for result in evaluation.results)
            for measure in evaluation.measures
        }
        for name in evaluation.slices
    }


def _item_rows(evaluation: Evaluation) -> Iterator[Mapping[str, Any]]:
    for result in evaluation.results:
        scores = result.scores["all"]
        for place, item in enumerate(evaluation.items):
            record = result.system.captions.get(item.id)
            written = {"caption": record and record.caption, "logprob": record and record.logprob}
            found = {key: values[place] for key, values in result.per_item.items()}
            values = {measure: finite(score.per_item[place]) for measure, score in scores.items()}
            yield {"id": item.id, "system": result.system.name, "seen": item.seen, **written, **found, **values}


def _dump(value: object, indent: int | None = None) -> str:
    return one_line(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent))
