"""How far raters agree with each other (Krippendorff's alpha), and two orders of the same captions (tau-b, rho)."""

from collections.abc import Callable

import numpy as np

from metrics.measures.statistics import Floats
from metrics.text.ngrams import Integers

Distances = Callable[[Floats], Floats]


def coincidences(counts: Floats) -> Floats:
    """Return each unit's coincidences (n, k, k), whose sum over units `alpha` takes.

    Args:
        counts: (n, k) how many raters gave each of n units each of k ratings. A unit with fewer than two raters, whose
            ratings can be compared with none, has no coincidences.

    Each ordered pair of a unit's ratings counts 1 / (raters - 1). Source: Krippendorff, Computing Krippendorff's
    Alpha-Reliability, 2011, part C.
    """
    pairs = counts[:, :, None] * counts[:, None, :] - np.eye(counts.shape[1]) * counts[:, :, None]
    others = np.maximum(counts.sum(axis=1) - 1, 1)
    shares: Floats = pairs / others[:, None, None]
    return shares


def alpha(coincidence: Floats, distances: Distances) -> float:
    """Return Krippendorff's alpha: 1 if raters agree in all, 0 if as chance would have it; NaN if all ratings are one.

    Args:
        coincidence: (k, k) the sum of `coincidences`.
        distances: `ordinal` or `interval`: from how often each rating was given, (k,), to (k, k) squared distances.

    Source: as `coincidences`, 1 - (n - 1) sum(o d) / sum(n_c n_k d).
    """
    given = coincidence.sum(axis=1)
    squared = distances(given)
    expected = given @ squared @ given
    if expected <= 0:
        return float("nan")
    return float(1 - (given.sum() - 1) * (coincidence * squared).sum() / expected)


def ordinal(given: Floats) -> Floats:
    """Return squared distances of ranks: ratings are as far apart as ratings were given between them."""
    middles = np.cumsum(given) - given / 2
    squared: Floats = (middles[:, None] - middles) ** 2
    return squared


def interval(given: Floats) -> Floats:
    """Return squared differences of the ratings' numbers: each step is as far as any other."""
    numbers = np.arange(len(given), dtype=np.float64)
    squared: Floats = (numbers[:, None] - numbers) ** 2
    return squared


def kendall(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return Kendall's tau-b (b,) of `x` and `y` (m,), each pair counted `weights` (b, m) times; NaN if one is flat.

    Source: Kendall, The Treatment of Ties in Ranking Problems, 1945: concordant less discordant pairs, over the
    geometric mean of the pairs untied in `x` and of those untied in `y`. One pass over the values of `x`, in
    O(m k b) for k values of `y`.
    """
    levels, level_of = np.unique(y, return_inverse=True)
    below = np.zeros((len(levels), len(weights)))  # the weight of each y among smaller x
    surplus, tied = np.zeros(len(weights)), np.zeros(len(weights))
    for places in _equal(x):
        here = np.zeros_like(below)
        np.add.at(here, level_of[places], weights[:, places].T)
        up_to = np.cumsum(below, axis=0)
        surplus += (here * (2 * up_to - below - up_to[-1])).sum(axis=0)
        tied += here.sum(axis=0) ** 2
        below += here
    pairs = below.sum(axis=0) ** 2
    return _ratio(2 * surplus, np.sqrt((pairs - tied) * (pairs - (below**2).sum(axis=0))))


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return Spearman's rho, the correlation of ranks (equal values share their mean); arguments as `kendall`'s."""
    one, other = _ranks(x, weights), _ranks(y, weights)
    spread = (weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1)
    return _ratio((weights * one * other).sum(axis=1), np.sqrt(spread))


def _equal(values: Floats) -> list[Integers]:
    """Return the places of each distinct value, from the smallest on."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(values[order])) + 1)


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Return ranks (b, m) less the mean rank, which is half the weight of all."""
    ranks, below = np.empty_like(weights), np.zeros(len(weights))
    for places in _equal(values):
        here = weights[:, places].sum(axis=1)
        ranks[:, places] = (below + here / 2)[:, None]
        below = below + here
    return ranks - below[:, None] / 2


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)
    return ratio
