"""Confidence intervals of proportions, which hold at 0% and 100% too, where a bootstrap's have no width."""

import math

import numpy as np

from metrics.measures.statistics import Floats, Interval
from metrics.text.ngrams import Integers

_Z = 1.959963984540054


def proportion_interval(per_item: Floats, clusters: Integers) -> Interval | None:
    """Return the 95% interval of the mean of items' values; None if no item has one.

    Wilson's score interval (Wilson 1927) with n divided by the design effect of the clusters, which is taken to be at
    least 1: n becomes p (1 - p) / v, where v is the variance of a ratio of cluster totals (Korn and Graubard,
    Confidence Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data,
    1998). Items that are clusters of their own give Wilson's interval. At 0 and 1, where v is 0, n is the number of
    clusters.

    Args:
        per_item: (n,) 0 to 1; NaN if the item is left out.
        clusters: (n,) the number of each item's cluster.
    """
    counted = ~np.isnan(per_item)
    values = per_item[counted]
    if not len(values):
        return None
    share = float(values.mean())
    return _wilson(share, _effective_size(values, share, np.unique(clusters[counted], return_inverse=True)[1]))


def _effective_size(values: Floats, share: float, clusters: Integers) -> float:
    groups = int(clusters.max()) + 1
    if groups == 1 or share in (0, 1):
        return groups
    residuals = np.bincount(clusters, weights=values - share)
    variance = float((residuals**2).sum()) / len(values) ** 2
    return min(len(values), share * (1 - share) / variance) if variance else len(values)


def _wilson(share: float, size: float) -> Interval:
    ratio = _Z**2 / size
    middle = (share + ratio / 2) / (1 + ratio)
    half = _Z / (1 + ratio) * math.sqrt(share * (1 - share) / size + ratio / (4 * size))
    return max(0.0, middle - half), min(1.0, middle + half)
