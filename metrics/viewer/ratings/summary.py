"""What people's ratings say: systems, pairs of systems, how far raters agree, and which measure agrees with them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from metrics.measures.statistics import Floats, Interval, Statistics, intervals, resamples
from metrics.records.captions import CaptionRecord
from metrics.scoring.clusters import FEWEST, Clusters, find_clusters
from metrics.viewer.ratings.agreement import Distances, alpha, interval, kendall, ordinal, spearman
from metrics.viewer.ratings.matching import match
from metrics.viewer.ratings.store import RATINGS, Rating
from metrics.viewer.ratings.table import RatingTable, preferences, tabulate

LEAST = 10  # independent clusters of items; from fewer, there is no figure
KINDS = {"blind": True, "open": False}
_DISTANCES = {"ordinal": ordinal, "interval": interval}
_CORRELATIONS = {"tau_b": kendall, "rho": spearman}
_SIZE = len(RATINGS)
Figure = dict[str, Any]
Key = tuple[str, ...]


def summarise(
    ratings: Sequence[Rating],
    items: Sequence[CaptionRecord],
    systems: Sequence[str],
    captions: Sequence[Sequence[str | None]],
    scores: Mapping[str, Floats],
) -> dict[str, Any]:
    """Return the summary of the ratings made `blind` and, apart, of those made knowing the systems, `open`, for JSON.

    Each figure is an object of its `value`, its 95% `interval` over clusters of items, its `n` (captions; comparisons
    by one rater of two captions of an item; pairs of an item's captions) and its `clusters`. Value and interval are
    None if that is fewer than `LEAST` clusters, or undefined.

    Args:
        ratings: all of a file's. Those of other items or systems are counted as `left_out`, those of other captions as
            `other_captions`, both are left out; those whose caption is not known, which are not, as `unknown_captions`.
        items: the rated items at least, in the test set's order.
        systems: the names of s systems.
        captions: (items, s) their captions.
        scores: measure to its scores (items, s), NaN where it leaves the item out.
    """
    ids = [item.id for item in items]
    of_items = (dict(zip(systems, row, strict=True)) for row in captions)
    matched = match(ratings, dict(zip(ids, of_items, strict=True)))
    ours = [replace(one, system=name) for (_, _, _, name), one in matched.ratings.items()]
    summary: dict[str, Any] = {
        "left_out": matched.left_out,
        "other_captions": matched.other_captions,
        "unknown_captions": sum(one.caption_sha256 is None for one in ours),
        "least": LEAST,
    }
    for kind, blind in KINDS.items():
        of_kind = [one for one in ours if one.blind is blind]
        table = tabulate(of_kind, ids, systems)
        clusters = find_clusters([items[place] for place in table.items])
        rated = _describe(table, clusters, scores) if table.items else None
        summary[kind] = {"notes": sum(bool(one.note) for one in of_kind), "rated": rated}
    return summary


def _describe(table: RatingTable, clusters: Clusters, scores: Mapping[str, Floats]) -> dict[str, Any]:
    by_measure = {name: values[table.items] for name, values in scores.items()}
    counted = {key: (_share(columns), n) for key, columns, n in _shares(table, by_measure)}
    counted |= {("alpha", name): _agreement(table, distances) for name, distances in _DISTANCES.items()}
    bounds = intervals({key: one for key, (one, _) in counted.items()}, np.arange(len(table.items)), clusters.labels)
    figures = {key: _figure(one, n, clusters, bounds[key]) for key, (one, n) in counted.items()}
    raters = np.count_nonzero(table.values, axis=(0, 1))
    return {
        "ratings": int(raters.sum()),
        "items": len(table.items),
        "clusters": len(clusters),
        "unit": clusters.unit,
        "few": len(clusters) < FEWEST,
        "raters": dict(zip(table.raters, raters.tolist(), strict=True)),
        "systems": [_system(table, place, figures) for place in range(len(table.systems))],
        "pairs": [_pair(table, *places, figures) for places in combinations(range(len(table.systems)), 2)],
        "agreement": {name: figures["alpha", name] for name in _DISTANCES},
        "measures": [
            {"name": name, **_correlations(table.means(), values, clusters), "preference": figures["preference", name]}
            for name, values in by_measure.items()
        ],
    }


def _shares(table: RatingTable, by_measure: Mapping[str, Floats]) -> Iterator[tuple[Key, Floats, int]]:
    """Yield what is a sum over a count: its key, both of each item (n, 2), and its n."""
    means = table.means()
    for place, name in enumerate(table.systems):
        rated = ~np.isnan(means[:, place])
        yield ("mean", name), np.stack([np.where(rated, means[:, place], 0), rated], axis=1), int(rated.sum())
    for one, other in combinations(range(len(table.systems)), 2):
        duels = table.duels(one, other)
        columns = np.stack([duels @ [1, 0.5, 0], duels.sum(axis=1)], axis=1)
        yield ("wins", table.systems[one], table.systems[other]), columns, int(duels.sum())
    for name, values in by_measure.items():
        columns = preferences(means, values)
        yield ("preference", name), columns, int(columns[:, 1].sum())


def _share(columns: Floats) -> Statistics:
    return Statistics(_ratios(columns), columns, lambda sums: float(_ratios(sums[None])[0]))


def _ratios(columns: Floats) -> Floats:
    above, below = columns.T
    ratios: Floats = np.divide(above, below, out=np.full(len(columns), np.nan), where=below > 0)
    return ratios


def _agreement(table: RatingTable, distances: Distances) -> tuple[Statistics, int]:
    """Return alpha as statistics of coincidences, and the number of captions with two ratings or more."""
    columns = table.coincidences().reshape(-1, _SIZE**2)
    compared = np.where(columns.any(axis=1), 1.0, np.nan)
    raters = np.count_nonzero(table.values, axis=2)
    aggregate = Statistics(compared, columns, lambda sums: alpha(sums.reshape(_SIZE, _SIZE), distances))
    return aggregate, int(np.count_nonzero(raters > 1))


def _figure(statistics: Statistics, n: int, clusters: Clusters, bounds: Interval) -> Figure:
    value = statistics.value(np.arange(len(statistics.per_item)))
    return _shown(value, bounds, n, clusters.counted(statistics.per_item))


def _correlations(means: Floats, scores: Floats, clusters: Clusters) -> dict[str, Figure]:
    """Return rank correlations of scores and mean ratings over all captions that have both."""
    rows, columns = np.nonzero(~np.isnan(means) & ~np.isnan(scores))
    x, y, labels = scores[rows, columns], means[rows, columns], clusters.labels[rows]
    rated = len(np.unique(labels))
    if rated < LEAST:
        return dict.fromkeys(_CORRELATIONS, _shown(np.nan, (np.nan, np.nan), len(x), rated))
    found = {}
    for name, correlation in _CORRELATIONS.items():
        value = correlation(x, y, np.ones((1, len(x))))[0]
        drawn = [correlation(x, y, block[:, labels]) for block in resamples(len(clusters))]
        low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
        found[name] = _shown(value, (low, high), len(x), rated)
    return found


def _shown(value: float, bounds: Interval, n: int, clusters: int) -> Figure:
    enough = clusters >= LEAST
    return {
        "value": float(value) if enough and not np.isnan(value) else None,
        "interval": list(map(float, bounds)) if enough and not np.isnan(bounds).any() else None,
        "n": n,
        "clusters": clusters,
    }


def _system(table: RatingTable, place: int, figures: Mapping[Key, Figure]) -> dict[str, Any]:
    given = Counter(table.values[:, place].ravel().tolist())
    name = table.systems[place]
    return {"name": name, "given": [given[rating] for rating in RATINGS], "mean": figures["mean", name]}


def _pair(table: RatingTable, one: int, other: int, figures: Mapping[Key, Figure]) -> dict[str, Any]:
    won, tied, lost = table.duels(one, other).sum(axis=0).astype(int).tolist()
    names = table.systems[one], table.systems[other]
    return {"one": names[0], "other": names[1], "won": won, "tied": tied, "lost": lost, "wins": figures["wins", *names]}
