"""Systems side by side as in the paper's tables: intervals, significance, improvement, the published rows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import all_or_none, write_text
from metrics.common.ownership import Contents, claim_folder
from metrics.common.secrets import without_secrets
from metrics.common.templates import render
from metrics.common.version import installed_version
from metrics.measures.statistics import SAMPLES, TRIALS, holm, p_values
from metrics.records.run import RunRecord
from metrics.reports.comparison_tables import (
    FILTERS,
    FORMS,
    NAME,
    SIGNIFICANT,
    csv_text,
    dump,
    notes_on,
    with_joined_rows,
)
from metrics.reports.equal_baselines import equal_baselines
from metrics.reports.findings.counting import count_findings
from metrics.reports.findings.table import RateTable, rate_table
from metrics.reports.published import (
    IMPROVED,
    KIND,
    MEASURED_ON,
    SOURCE,
    Scores,
    improvable,
    improvement,
    is_published_split,
    printed,
    published_scores,
    unlike_published,
)
from metrics.reports.titles import captions_title
from metrics.scoring.suite import SLICES, Evaluation, SystemScores, warnings_about

_SETTINGS = {kind: setting for setting, kind in KIND.items()} | {"baseline": "no photo", "control": "other photo"}
_DATASETS = {catalogue: dataset for dataset, (catalogue, _) in MEASURED_ON.items()}
_UNTESTED = {"value": None, "interval": None, "p": None, "p_holm": None, "best": False, "signature": None}
COMPARISON = Contents(
    {
        f"{NAME}.json": '"lookbook": ',
        f"{NAME}.csv": "slice,n,system,",
        f"{NAME}.md": "by Lookbook ",
        f"{NAME}.tex": "by Lookbook ",
        f"{NAME}.html": "Lookbook comparison",
    },
    record=f"{NAME}.json",
    beside=("captions.*", "run.json"),
)
Row = dict[str, Any]


def write_comparison(
    evaluation: Evaluation,
    out: Path,
    published: str | None = None,
    against: str | None = None,
    training: Collection[str] | None = None,
) -> dict[str, Any]:
    """Write `comparison.{json,md,tex,html,csv}` into the folder `out`, all or none; return the content of the first.

    Raises:
        UserError: as `build_comparison`, and when the folder is not ours, or it or a file cannot be written.
    """
    comparison: dict[str, Any] = without_secrets(build_comparison(evaluation, published, against, training))
    claim_folder(out, COMPARISON)
    with all_or_none():
        _write(comparison, out)
    return comparison


def _write(comparison: dict[str, Any], out: Path) -> None:
    write_text(out / f"{NAME}.json", dump(comparison) + "\n")
    write_text(out / f"{NAME}.csv", csv_text(comparison))
    for form in FORMS:
        view = {**with_joined_rows(comparison), "slice_words": SLICES, "notes": notes_on(comparison)}
        view["rates"] = _rates(comparison)
        write_text(out / f"{NAME}.{form}", render(f"{NAME}.{form}.j2", view, filters=FILTERS))


def build_comparison(
    evaluation: Evaluation,
    published: str | None = None,
    against: str | None = None,
    training: Collection[str] | None = None,
) -> dict[str, Any]:
    """Return the content of `comparison.json`; all scores are x100.

    `published` (hm or facad) adds the paper's rows of that catalogue. Every system's p is of its difference from the
    system `against` (default: the last one, a fine-tuned one if there is any; see `p_values`), and p_holm the same
    corrected for the number of p-values of its slice (`holm`). `findings` are rates (0..1) of what goes wrong, without
    examples; `training`: the captions that the systems were trained on.

    Raises:
        UserError: when there is no such catalogue or system.
    """
    names = [result.system.name for result in evaluation.results]
    check_choices(names, published, against)
    dataset = _DATASETS[published] if published else None
    chosen = evaluation.results[names.index(against) if against else -1]
    return {
        "title": captions_title(evaluation),
        "lookbook": installed_version(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "published": dataset,
        "source": SOURCE if dataset else None,
        "against": chosen.system.name if len(evaluation.results) > 1 else None,
        "method": {
            "interval": f"percentile bootstrap of clusters, {SAMPLES} samples",
            "p": f"randomisation of clusters, {TRIALS} trials",
            "p_holm": "Holm's correction for all p-values of a slice",
        },
        "significant_below": SIGNIFICANT,
        "measures": list(evaluation.measures),
        "absent": dict(evaluation.absent),
        "warnings": [*_warnings(evaluation, dataset)],
        "equal_baselines": equal_baselines(evaluation),
        "slices": [_slice(evaluation, name, chosen, dataset) for name in evaluation.slices],
        "findings": _findings(evaluation, training),
    }


def _findings(evaluation: Evaluation, training: Collection[str] | None) -> dict[str, Any]:
    found = count_findings(evaluation, training)
    rates = [{kind: {"rates": one["rates"]} for kind, one in system.items()} for system in found["systems"]]
    named = zip(evaluation.results, rates, strict=True)
    return found | {"systems": [{"name": result.system.name, **of_one} for result, of_one in named]}


def _rates(comparison: Mapping[str, Any]) -> RateTable:
    systems = comparison["findings"]["systems"]
    return rate_table(comparison["findings"], [system["name"] for system in systems], systems)


def check_choices(names: Sequence[str], published: str | None, against: str | None) -> None:
    """Refuse a catalogue without published figures and a system that is not among `names`; raises `UserError`."""
    for option, known, given in (("--published", [*_DATASETS], published), ("--against", names, against)):
        if given is not None and given not in known:
            raise UserError(f"{option}: expected one of {', '.join(known)}; found {given}")


def _slice(evaluation: Evaluation, name: str, chosen: SystemScores, dataset: str | None) -> dict[str, Any]:
    figures = {
        result.system.name: {measure: printed(score.value) for measure, score in result.scores[name].items()}
        for result in evaluation.results
    }
    pairs = {after: figures[before] for after, before in _pretrained(evaluation).items()}
    improved = _improved(evaluation, [(before, figures[after]) for after, before in pairs.items()])
    gains = {after: improvement(before, figures[after], improved) for after, before in pairs.items()}
    ours = [
        {
            "name": result.system.name,
            "setting": _setting(result),
            "model": _model(result),
            "published": False,
            "scores": scores,
            "improvement": gains.get(result.system.name),
        }
        for result, scores in zip(evaluation.results, _scores(evaluation, name, chosen), strict=True)
    ]
    theirs = [*_published(dataset, evaluation.measures, improved)] if name == "all" else []
    clusters = evaluation.clusters[name]
    return {
        "name": name,
        "n": len(evaluation.slices[name]),
        "unit": clusters.unit,
        "clusters": len(clusters),
        "comparisons": (len(evaluation.results) - 1) * len(evaluation.measures),
        "improved": improved,
        "rows": [*theirs, *ours],
    }


def _scores(evaluation: Evaluation, name: str, chosen: SystemScores) -> Iterator[dict[str, Any]]:
    """Each system's scores on a slice by measure."""
    tested = _tests(evaluation, name, chosen)
    corrected = holm(tested)
    values = {m: [result.scores[name][m].value for result in evaluation.results] for m in evaluation.measures}
    for result in evaluation.results:
        yield {
            measure: {
                "value": 100 * score.value,
                "interval": [100 * bound for bound in score.interval],
                "p": tested.get((result.system.name, measure)),
                "p_holm": corrected.get((result.system.name, measure)),
                "best": len(values[measure]) > 1 and score.value == max(values[measure]),
                "signature": score.signature,
            }
            for measure, score in result.scores[name].items()
        }


def _tests(evaluation: Evaluation, name: str, chosen: SystemScores) -> dict[tuple[str, str], float]:
    """The p of each other system's difference from the chosen one, by system and measure."""
    others = [result for result in evaluation.results if result is not chosen]
    pairs = [(result, measure) for result in others for measure in evaluation.measures]
    if not pairs:
        return {}
    return p_values(
        {(result.system.name, measure): result.statistics[measure] for result, measure in pairs},
        {(result.system.name, measure): chosen.statistics[measure] for result, measure in pairs},
        evaluation.slices[name],
        evaluation.clusters[name].labels,
    )


def _published(dataset: str | None, measures: Sequence[str], improved: Sequence[str]) -> Iterator[Row]:
    rows = [row for row in published_scores() if row.dataset == dataset]
    before = {row.model: row.scores for row in rows if row.setting == "PT"}
    for row in rows:
        yield {
            "name": row.model,
            "setting": row.setting,
            "model": row.model,
            "published": True,
            "scores": {m: _UNTESTED | {"value": row.scores[m]} for m in measures if m in row.scores},
            "improvement": improvement(before[row.model], row.scores, improved) if row.setting == "FT" else None,
        }


def _setting(result: SystemScores) -> str:
    run = result.system.run or RunRecord()
    return "look-up" if run.lookup else _SETTINGS.get(run.kind or "", "")


def _model(result: SystemScores) -> str | None:
    """The base model: after full fine-tuning `model` is another folder, and the recipe has the base."""
    run = result.system.run or RunRecord()
    section = run.recipe.get("model")
    base = section.get("base") if isinstance(section, Mapping) else None
    return base if isinstance(base, str) else run.model


def _pretrained(evaluation: Evaluation) -> dict[str, str]:
    """Fine-tuned systems with the pre-trained one of the same model, if there is exactly one."""
    before: dict[str | None, list[str]] = {}
    for result in evaluation.results:
        if _setting(result) == "PT":
            before.setdefault(_model(result), []).append(result.system.name)
    return {
        result.system.name: before[model][0]
        for result in evaluation.results
        if _setting(result) == "FT" and (model := _model(result)) and len(before.get(model, [])) == 1
    }


def _improved(evaluation: Evaluation, pairs: Sequence[tuple[Scores, Scores]]) -> list[str]:
    """The measures of "% Impr.", the same in all rows: those of the paper that are here and never start from 0."""
    given = [name for name in IMPROVED if name in evaluation.measures]
    return [name for name in given if all(name in improvable(*pair) for pair in pairs)]


def _warnings(evaluation: Evaluation, dataset: str | None) -> Iterator[str]:
    items = len(evaluation.items)
    runs = [result.system.run or RunRecord() for result in evaluation.results]
    if dataset:
        origins = {(run.catalogue.name, run.catalogue.split_method, _as_published(run)) for run in runs}
        for origin in sorted(origins, key=str):
            if warning := unlike_published(dataset, *origin, items):
                yield warning
    if len({_origin(run) for run in runs if run.catalogue.name}) > 1:
        yield "The systems are not comparable: their runs have different catalogues or splits."
    if len({run.raw["catalogue_fingerprint"] for run in runs if run.raw.get("catalogue_fingerprint")}) > 1:
        yield "The systems are not comparable: the catalogue has changed between their runs."
    for result in evaluation.results:
        if result.missing:
            yield f"{result.system.name}: no caption, so scored 0, for {len(result.missing):,} of {items:,} items."
    yield from warnings_about(evaluation)


def _as_published(run: RunRecord) -> bool:
    data = run.recipe.get("data")
    return not isinstance(data, Mapping) or is_published_split(data.get("split") or {})


def _origin(run: RunRecord) -> tuple[Any, ...]:
    return (run.catalogue.name, run.catalogue.split_method, *sorted(run.catalogue.split_sizes.items()))
