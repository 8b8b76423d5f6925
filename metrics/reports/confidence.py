"""How a system's confidence goes with the quality of its captions, and the threshold for a wanted precision."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from metrics.common.charts import Chart, Point, curves_with_intervals
from metrics.common.formatting import times_100
from metrics.measures.statistics import Floats
from metrics.scoring.clusters import FEWEST
from metrics.scoring.selective import Part, calibration, reaching, select
from metrics.scoring.suite import Evaluation, SystemScores

PRECISION = "MAP"
MEASURES = (PRECISION, "CIDEr")
WANTED = (0.8, 0.9, 0.95)
_MOST_CURVES = 6
Json = Mapping[str, Any]


def build_confidence(evaluation: Evaluation) -> dict[str, Any]:
    """Return the report's `confidence`: each system that has log-probabilities, by MAP and CIDEr if measured.

    An item's confidence is exp(its caption's mean token log-probability), 0..1; values are 0..1 (CIDEr 0..10).
    """
    measures = [measure for measure in MEASURES if measure in evaluation.measures]
    described = [_describe(evaluation, result, measures) for result in evaluation.results]
    systems = [one for one in described if one["n"] or one["impossible"]]
    return {"measures": measures, "wanted": list(WANTED), "systems": systems, "notes": [*_notes(systems, measures)]}


def _describe(evaluation: Evaluation, result: SystemScores, measures: Sequence[str]) -> dict[str, Any]:
    logprobs = np.array([_logprob(result, item.id) for item in evaluation.items])
    with np.errstate(over="ignore"):
        confidence = np.where(logprobs <= 0, np.exp(logprobs), np.nan)
    known = confidence[~np.isnan(confidence)]
    return {
        "name": result.system.name,
        "kind": result.system.run.kind if result.system.run else None,
        "n": len(known),
        "without": int(np.isnan(logprobs).sum()),
        "impossible": int((logprobs > 0).sum()),
        "quartiles": np.percentile(known, [0, 25, 50, 75, 100]).tolist() if len(known) else None,
        "measures": {
            measure: found
            for measure in measures
            if (found := _by_measure(confidence, result.statistics[measure].per_item, evaluation))
        },
    }


def _logprob(result: SystemScores, key: str) -> float:
    record = result.system.captions.get(key)
    return math.nan if record is None or record.logprob is None else record.logprob


def _by_measure(confidence: Floats, per_item: Floats, evaluation: Evaluation) -> dict[str, Any] | None:
    """What is known of the items that have a confidence and that the measure counts; None without any."""
    places = np.flatnonzero(~np.isnan(confidence) & ~np.isnan(per_item))
    if not len(places):
        return None
    chosen = confidence[places], per_item[places], evaluation.clusters["all"].labels[places]
    found = select(*chosen)
    return {
        "n": len(places),
        "clusters": found.curve[-1].clusters,
        "value": found.curve[-1].value,
        "interval": list(found.curve[-1].interval),
        "rank_correlation": {"value": found.correlation, "interval": found.correlation_interval},
        "area": {"value": found.area, "interval": list(found.area_interval), "best": found.best_area},
        "bins": [asdict(part) for part in calibration(*chosen)],
        "curve": [asdict(part) for part in found.curve],
        "thresholds": [{"wanted": wanted, "kept": _dict(reaching(found.curve, wanted))} for wanted in WANTED],
    }


def _dict(part: Part | None) -> dict[str, Any] | None:
    return asdict(part) if part else None


def _notes(systems: Sequence[Json], measures: Sequence[str]) -> Iterator[str]:
    """What a reader must know before a threshold is used."""
    for one in systems:
        if one["impossible"]:
            yield (
                f"{one['name']}: captions with a logprob above 0, which is no log-probability: {one['impossible']:,}; "
                "they are left out here."
            )
        for measure in [name for name in measures if name in one["measures"]][:1]:
            rivals = [other for other in systems if measure in other["measures"]]
            better = [other for other in rivals if _is_deceptive(one, other, measure)]
            if better:
                yield _deception(one, better[-1], measure)


def _is_deceptive(one: Json, other: Json, measure: str) -> bool:
    """Whether a system is more confident than another and worse, beyond doubt."""
    mine, its = one["measures"][measure], other["measures"][measure]
    return bool(one["quartiles"][2] > other["quartiles"][2] and mine["interval"][1] < its["interval"][0])


def _deception(one: Json, other: Json, measure: str) -> str:
    sure = " against ".join(f"{each['quartiles'][2]:.3f}" for each in (one, other))
    good = " against ".join(times_100(each["measures"][measure]["value"]) for each in (one, other))
    return (
        f"{one['name']} is more confident than {other['name']} (median {sure}), yet its captions are worse ({measure} "
        f"{good}): a confidence orders the captions of one system; it does not say how good the system is."
    )


def charted(confidence: Json) -> list[str]:
    """Return the systems that the charts show, the last 6."""
    return [system["name"] for system in confidence["systems"] if system["measures"]][-_MOST_CURVES:]


def calibration_chart(confidence: Json, measure: str) -> Chart | None:
    """Return a measure (x100) by confidence in bins, a curve for each system."""
    points = _points(confidence, measure, "bins", "confidence")
    return curves_with_intervals(points, "confidence", f"{measure} ×100")


def coverage_chart(confidence: Json, measure: str) -> Chart | None:
    """Return a measure (x100) of what is kept by coverage (x100), a curve for each system, from 30 clusters up."""
    points = _points(confidence, measure, "curve", "coverage", 100)
    return curves_with_intervals(points, "kept, % of the captions", f"{measure} ×100")


def _points(confidence: Json, measure: str, parts: str, x: str, times: float = 1) -> dict[str, list[Point]]:
    shown = set(charted(confidence))
    return {
        system["name"]: [
            (times * part[x], 100 * part["value"], 100 * part["interval"][0], 100 * part["interval"][1])
            for part in system["measures"].get(measure, {}).get(parts, ())
            if part["clusters"] >= FEWEST
        ]
        for system in confidence["systems"]
        if system["name"] in shown
    }
