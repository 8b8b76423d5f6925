"""One pass over all systems: tokenise once, run the measures, score every slice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from metrics.common.errors import UserError
from metrics.common.measure_names import ORDER
from metrics.common.parallel import side_by_side
from metrics.measures.base import Measure, Measured
from metrics.measures.bleu import Bleu
from metrics.measures.cider import Cider
from metrics.measures.meteor.measure import Meteor
from metrics.measures.rouge import RougeL
from metrics.measures.spice.measure import Spice
from metrics.measures.statistics import Floats, Interval, Statistics, intervals
from metrics.records.caption_sets import CaptionSet, reference_items
from metrics.records.captions import CaptionRecord
from metrics.records.run import RunRecord
from metrics.scoring.clusters import BY, ITEM, Clusters, check_keys, find_clusters, too_few
from metrics.scoring.signature import lookup_parts, signature
from metrics.text.corpus import Corpus
from metrics.text.ngrams import Integers
from metrics.text.tokenization import TOKENIZER

SLICES = {
    "all": "All items",
    "seen": "Seen: the reference is word for word in training",
    "unseen": "Unseen: the reference is new",
}
Results = Sequence[tuple[Measure, Measured]]


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of one system on one slice.

    Attributes:
        value: the corpus value, 0..1 (CIDEr 0..10); papers print it x100.
        per_item: (n,) each item's own value, in the items' order; NaN if the measure leaves the item out.
        signature: measure, tokenizer, references per item, n, what else determines the number, version.
        interval: 95% bootstrap interval of the value, over the slice's clusters of items.
    """

    value: float
    per_item: Floats
    signature: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class SystemScores:
    """One system's scores.

    Attributes:
        system: the system.
        missing: ids without a caption; they score 0.
        empty: ids whose caption is empty or white space.
        scores: slice to measure to score.
        statistics: measure to its statistics over all items.
        details: further results of the measures, by the first name of each.
        per_item: what else the measures know of each item, a key to n values: `attributes` (`right`, `invented` and
            `missed` against the references), `predicted` (the category).
    """

    system: CaptionSet
    missing: tuple[str, ...]
    empty: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Score]]
    statistics: Mapping[str, Statistics]
    details: Mapping[str, Mapping[str, Any]]
    per_item: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All systems on the same items.

    Attributes:
        items: the reference set, n records without captions.
        slices: slice name to the positions of its items; a slice without items is left out.
        clusters: slice name to its items' clusters, found among them alone.
        results: one entry a system, baselines first.
        measures: what was measured, in the order of tables.
        absent: what was not measured, and why.
    """

    items: Sequence[CaptionRecord]
    slices: Mapping[str, Integers]
    clusters: Mapping[str, Clusters]
    results: Sequence[SystemScores]
    measures: tuple[str, ...]
    absent: Mapping[str, str]


def default_measures() -> list[Measure]:
    """Return the measures that need no model of the user's."""
    return [Bleu(), Meteor(), RougeL(), Cider(), Spice()]


def score_captions(
    captions: Sequence[CaptionRecord],
    references: Sequence[CaptionRecord] | None = None,
    measures: Sequence[Measure] | None = None,
    clusters: Sequence[str] = BY,
) -> Evaluation:
    """Score one system's captions, against `references` or those in the records themselves.

    Raises:
        UserError: as `score_systems`, and when an id is repeated.
    """
    by_id = {record.id: record for record in captions}
    if len(by_id) < len(captions):
        raise UserError("an id is repeated among the captions; keep one caption for each item")
    return score_systems([CaptionSet("captions", by_id)], references, measures, clusters)


def score_systems(
    systems: Sequence[CaptionSet],
    references: Sequence[CaptionRecord] | None = None,
    measures: Sequence[Measure] | None = None,
    clusters: Sequence[str] = BY,
) -> Evaluation:
    """Score systems side by side on the same items, by `measures` (default: `default_measures`).

    A missing caption scores 0 in every measure. CIDEr's document frequencies come from all items' references, on
    slices too. A measure that cannot run here is left out, and `absent` has the reason. `clusters` names what items
    are joined by for intervals and p-values (`find_clusters`). Items may lack references if no measure that can run
    needs any.

    Raises:
        UserError: when there is nothing to score, ids or references do not match (`reference_items`), or a measure
            fails.
    """
    chosen = default_measures() if measures is None else list(measures)
    unusable = [one for one in chosen if not isinstance(one, Measure)]
    if unusable:
        raise UserError(f"measures: expected measures, such as choose_measures(['CIDEr']), found {unusable[0]!r}")
    check_keys(clusters)
    reasons = [(measure, measure.absent()) for measure in chosen]
    available = [measure for measure, reason in reasons if reason is None]
    if not available:
        raise UserError("; ".join(f"{measure.names[0]}: {reason}" for measure, reason in reasons))
    items = reference_items(systems, references, any(measure.needs_references for measure in available))
    if not items or not systems:
        raise UserError("there is nothing to score: no items or no systems")
    slices = _slices(items)
    found = {name: find_clusters([items[place] for place in places], clusters) for name, places in slices.items()}
    if found["all"].unit == ITEM and ITEM not in clusters:
        raise UserError(f"clusters: no item has a {' or a '.join(clusters)}; name something else, or {ITEM}")
    measured = run_measures(available, Corpus(systems, items))
    by_system = [[(measure, of_all[place]) for measure, of_all in measured] for place in range(len(systems))]
    bounds = {name: _intervals(by_system, places, found[name].labels) for name, places in slices.items()}
    return Evaluation(
        items,
        slices,
        found,
        [
            _score_system(system, items, slices, found, results, {name: bounds[name][place] for name in slices})
            for place, (system, results) in enumerate(zip(systems, by_system, strict=True))
        ],
        tuple(sorted((name for measure in available for name in measure.names), key=ORDER.index)),
        {measure.names[0]: reason for measure, reason in reasons if reason is not None},
    )


def run_measures(measures: Sequence[Measure], corpus: Corpus) -> list[tuple[Measure, Sequence[Measured]]]:
    """Check all; run programs and Python measures in parallel, then those that need torch one after the other."""
    for measure in measures:
        measure.check(corpus)
    by_work = {kind: [one for one in measures if one.work == kind] for kind in ("programs", "python", "torch")}
    groups = [*([one] for one in by_work["programs"]), by_work["python"]]
    if any(measure.tokenizer == TOKENIZER for group in groups for measure in group):
        _ = corpus.tokens
    done = side_by_side([partial(_measure_in_turn, group, corpus) for group in groups])
    done.append(_measure_in_turn(by_work["torch"], corpus))
    return [result for group in done for result in group]


def _measure_in_turn(measures: Sequence[Measure], corpus: Corpus) -> list[tuple[Measure, Sequence[Measured]]]:
    return [(measure, measure.measure(corpus)) for measure in measures]


def _slices(items: Sequence[CaptionRecord]) -> dict[str, Integers]:
    seen = [item.seen for item in items]
    members = {
        "all": np.arange(len(items)),
        "seen": np.array([place for place, flag in enumerate(seen) if flag is True], dtype=np.int64),
        "unseen": np.array([place for place, flag in enumerate(seen) if flag is False], dtype=np.int64),
    }
    return {name: members[name] for name in SLICES if len(members[name])}


def _score_system(
    system: CaptionSet,
    items: Sequence[CaptionRecord],
    slices: Mapping[str, Integers],
    clusters: Mapping[str, Clusters],
    measured: Results,
    bounds: Mapping[str, Mapping[str, Interval]],
) -> SystemScores:
    return SystemScores(
        system,
        missing=tuple(item.id for item in items if item.id not in system.captions),
        empty=tuple(key for key, record in system.captions.items() if not (record.caption or "").strip()),
        scores={
            name: _score_slice(system.run, measured, items, places, clusters[name], bounds[name])
            for name, places in slices.items()
        },
        statistics={name: one for _, result in measured for name, one in result.statistics.items()},
        details={measure.names[0]: result.details for measure, result in measured if result.details},
        per_item={key: values for _, result in measured for key, values in result.per_item.items()},
    )


def _intervals(by_system: Sequence[Results], places: Integers, clusters: Integers) -> list[dict[str, Interval]]:
    """Return each system's intervals by measure, from the same resamples for all."""
    statistics = {
        (place, name): one
        for place, measured in enumerate(by_system)
        for _, result in measured
        for name, one in result.statistics.items()
    }
    together = intervals(statistics, places, clusters)
    return [{name: together[place, name] for of, name in statistics if of == place} for place in range(len(by_system))]


def _score_slice(
    run: RunRecord | None,
    measured: Results,
    items: Sequence[CaptionRecord],
    places: Integers,
    clusters: Clusters,
    bounds: Mapping[str, Interval],
) -> dict[str, Score]:
    by_name = {name: (measure, result) for measure, result in measured for name in result.statistics}
    scores, members, looked_up = {}, [items[place] for place in places], lookup_parts(run)
    for name in sorted(by_name, key=ORDER.index):
        measure, result = by_name[name]
        statistics = result.statistics[name]
        per_item = statistics.per_item[places]
        used = None if name in measure.reference_free else [len(item.references) for item in members]
        further = [*result.signature, *looked_up]
        signed = signature(name, measure.tokenizer, further, used, per_item, clusters)
        scores[name] = Score(statistics.value(places), per_item, signed, bounds[name])
    return scores


def warnings_about(evaluation: Evaluation) -> list[str]:
    """Return a warning for each slice whose items, or those that a measure counts, are too few clusters, and those of
    the measures."""
    scores = evaluation.results[0].scores
    per_item = {name: {measure: one.per_item for measure, one in scores[name].items()} for name in scores}
    details = [values for result in evaluation.results for values in result.details.values()]
    of_measures = dict.fromkeys(values["warning"] for values in details if "warning" in values)
    return [*too_few(evaluation.clusters, per_item), *of_measures]


def finite(value: float) -> float | None:
    """Return an item's own value, None if the measure leaves the item out."""
    return None if math.isnan(value) else float(value)
