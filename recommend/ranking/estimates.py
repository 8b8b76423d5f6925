"""Means over customers with intervals, and paired tests; on the patterns of hits that customers share.

A draw of m customers with replacement is a multinomial draw over the patterns, and swapping each of n customers of a
pattern with probability 1/2 a binomial one: the same bootstrap and the same randomisation as one by one, a thousandth
of the work.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.measures.statistics import SAMPLES, TRIALS, percentiles
from recommend.ranking.hits import Hits
from recommend.ranking.measures import Values, pattern_values
from recommend.ranking.relevant import Places

Mask = NDArray[np.bool_]
_SEED = 12345
_BLOCK = 2**22  # draws held at once
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `customers` customers and its 95% interval; None where there are none."""

    value: float | None
    low: float | None
    high: float | None
    customers: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher one mean is than another of the same customers, its 95% interval, and the two-sided p."""

    value: float
    low: float
    high: float
    p: float


def estimates(found: Hits, ks: Sequence[int], among: Mask | None = None) -> dict[str, Estimate]:
    """Every measure's mean over all m customers, or over those `among` (m,), with its percentile bootstrap interval.

    Customers are resampled (Efron, 1979), 1,000 times; all measures on the same resamples.
    """
    counts = _counted(found.of, len(found.sizes), among)
    used = counts > 0
    customers = int(counts.sum())
    values = {name: column[used] for name, column in pattern_values(found, ks).items()}
    if not customers:
        return {name: Estimate(None, None, None, 0) for name in values}
    means = _means(values, counts[used])
    bounds = _bounds(values, counts[used])
    return {name: Estimate(means[name], *bounds[name], customers) for name in values}


def differences(ours: Hits, theirs: Hits, ks: Sequence[int], among: Mask | None = None) -> dict[str, Difference]:
    """How much higher each measure's mean is than another recommender's, of the same customers; empty if none.

    The interval is the paired bootstrap's; p is by approximate randomisation (Riezler and Maxwell, 2005), 2,000 trials,
    as in `metrics`: were two recommenders equally good, nothing would change if they swapped their lists of a customer.
    Correct for the number of tests by `metrics.measures.statistics.holm`.
    """
    pairs = ours.of * len(theirs.sizes) + theirs.of
    patterns, of = np.unique(pairs, return_inverse=True)
    counts = _counted(of, len(patterns), among)
    used = counts > 0
    if not used.any():
        return {}
    mine, other = np.divmod(patterns[used], len(theirs.sizes))
    own, its = pattern_values(ours, ks), pattern_values(theirs, ks)
    gains = {name: own[name][mine] - its[name][other] for name in own}
    means, bounds = _means(gains, counts[used]), _bounds(gains, counts[used])
    p = _p_values(gains, counts[used])
    return {name: Difference(means[name], *bounds[name], p[name]) for name in gains}


def _counted(of: Places, patterns: int, among: Mask | None) -> Places:
    return np.bincount(of if among is None else of[among], minlength=patterns)


def _means(values: Mapping[str, Values], counts: Places) -> dict[str, float]:
    return {name: float(column @ counts / counts.sum()) for name, column in values.items()}


def _bounds(values: Mapping[str, Values], counts: Places) -> dict[str, tuple[float, float]]:
    draw = np.random.default_rng(_SEED)
    shares = counts / counts.sum()
    sums = _sums(values, SAMPLES, lambda size: draw.multinomial(counts.sum(), shares, size=size))
    return {name: percentiles(column / counts.sum()) for name, column in zip(values, sums.T, strict=True)}


def _p_values(gains: Mapping[str, Values], counts: Places) -> dict[str, float]:
    differing = np.any([column != 0 for column in gains.values()], axis=0)
    counts = counts[differing]
    gains = {name: column[differing] for name, column in gains.items()}
    draw = np.random.default_rng(_SEED)
    sums = _sums(gains, TRIALS, lambda size: counts - 2 * draw.binomial(counts, 0.5, size=(size, len(counts))))
    values = {}
    for (name, column), trials in zip(gains.items(), sums.T, strict=True):
        least = abs(float(column @ counts)) - _ROUNDING * float(np.abs(column) @ counts)
        values[name] = (1 + int((np.abs(trials) >= least).sum())) / (1 + TRIALS)
    return values


def _sums(values: Mapping[str, Values], rows: int, draw: Callable[[int], Places]) -> Values:
    """(rows, measures) sums of the values (g,), weighted by each row of draws (_, g)."""
    columns = np.column_stack(list(values.values()))
    return np.concatenate([draw(size) @ columns for size in _blocks(rows, len(columns))])


def _blocks(rows: int, width: int) -> Iterator[int]:
    block = max(1, _BLOCK // max(width, 1))
    return (min(block, rows - start) for start in range(0, rows, block))
