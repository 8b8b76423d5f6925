"""What a measure adds up over items, and how sure that makes its value."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.ngrams import Integers

Floats = NDArray[np.float64]
Interval = tuple[float, float]
SAMPLES = 1000
_SEED = 12345
_BLOCK = 50


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure of one system over n items: every value is `aggregate` of the sum of some items' `columns`.

    Attributes:
        per_item: (n,) each item's own value; NaN where the measure leaves the item out.
        columns: (n, k) what is added up.
        aggregate: takes a sum of rows of `columns`, (k,), and returns the value.
    """

    per_item: Floats
    columns: Floats
    aggregate: Callable[[Floats], float]

    def value(self, places: Integers) -> float:
        """Return the value over the items at `places`; the mean of a column equals `numpy.mean` bit for bit."""
        return self.aggregate(np.ascontiguousarray(self.columns[places].T).sum(axis=1))


def mean_of(per_item: Floats) -> Statistics:
    """Return the statistics of a measure whose value is the mean of its items', those that are NaN left out."""
    counted = ~np.isnan(per_item)
    return Statistics(per_item, np.column_stack([np.where(counted, per_item, 0.0), counted]), _ratio)


def _ratio(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def intervals(statistics: Mapping[str, Statistics], places: Integers) -> dict[str, Interval]:
    """Return the 95% percentile bootstrap interval (Efron 1979) of each value over the items at `places`.

    Every measure is computed on the same `SAMPLES` resamples of the items, from the sums of their statistics, so that
    a corpus measure such as BLEU is that of the resampled corpus. CIDEr keeps its document frequencies.
    """
    sums: dict[str, list[Floats]] = {name: [] for name in statistics}
    for counts in resamples(len(places)):
        for name, one in statistics.items():
            sums[name].append(counts @ one.columns[places])
    return {name: _interval(statistics[name].aggregate, np.concatenate(sums[name])) for name in statistics}


def resamples(items: int) -> Iterator[Floats]:
    """Yield how often each item is drawn in each of `SAMPLES` resamples, in blocks of (samples, items)."""
    draw = np.random.default_rng(_SEED)
    for start in range(0, SAMPLES, _BLOCK):
        block = min(_BLOCK, SAMPLES - start)
        drawn = draw.integers(items, size=(block, items))
        yield np.array([np.bincount(row, minlength=items) for row in drawn], dtype=np.float64)


def _interval(aggregate: Callable[[Floats], float], sums: Floats) -> Interval:
    values = [aggregate(row) for row in sums]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
