"""Means over queries with 95% intervals that respect products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.measures.statistics import difference_of, intervals, mean_of
from recommend.evaluation.attributes import MEAN, Agreement, Floats, Places


@dataclass(frozen=True)
class Estimate:
    """The mean of `queries` queries and its 95% interval; all None where no query counts."""

    value: float | None
    low: float | None
    high: float | None
    queries: int


@dataclass(frozen=True)
class Row:
    """One method: its name and, by attribute and for `mean`, Precision@K and Recall@K."""

    name: str
    precision: Mapping[str, Estimate]
    recall: Mapping[str, Estimate]


def estimated(name: str, scores: Agreement, attributes: Sequence[str], products: Places) -> Row:
    """The means of the scores of q queries, whose `products` (q,) are resampled as wholes."""
    _, clusters = np.unique(products, return_inverse=True)
    titles = (*attributes, MEAN)
    return Row(
        name,
        _estimates(scores.precision, titles, clusters),
        _estimates(scores.recall, titles, clusters),
    )


def gain(ours: Floats, theirs: Floats, products: Places) -> Estimate:
    """How much higher the mean of one method's values (q,) is than another's of the same queries, paired."""
    counted = ~np.isnan(ours) & ~np.isnan(theirs)
    _, clusters = np.unique(products[counted], return_inverse=True)
    difference = {"gain": difference_of(mean_of(ours[counted]), mean_of(theirs[counted]))}
    places = np.arange(int(counted.sum()))
    low, high = intervals(difference, places, clusters)["gain"]
    return Estimate(difference["gain"].value(places), low, high, len(places))


def _estimates(values: Floats, titles: Sequence[str], clusters: Places) -> dict[str, Estimate]:
    statistics = {title: mean_of(column) for title, column in zip(titles, values.T, strict=True)}
    places = np.arange(len(values))
    bounds = intervals(statistics, places, clusters)
    estimates = {}
    for title, one in statistics.items():
        queries = int((~np.isnan(one.per_item)).sum())
        low, high = bounds[title]
        known = Estimate(one.value(places), low, high, queries)
        estimates[title] = known if queries else Estimate(None, None, None, 0)
    return estimates
