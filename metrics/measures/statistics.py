"""What a measure adds up over items, confidence intervals of its value, and tests of differences.

Items are resampled and swapped in clusters: items of one cluster (colourways of a product, say) are no independent
evidence. `clusters` are (n,) numbers from 0 up of the clusters of the items at `places`; default: each item is its own.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.screen import progress
from metrics.text.ngrams import Integers

Floats = NDArray[np.float64]
Interval = tuple[float, float]
Name = TypeVar("Name", bound=Hashable)
SAMPLES = 1000
TRIALS = 2000
_SEED = 12345
_BLOCK = 2**22  # draws held at once: 32 MB as float64
_ROUNDING = 1e-9
_PATIENCE = 2.0  # seconds before the bar appears


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure of one system over n items: every value is `aggregate` of the sum of some items' `columns`.

    Attributes:
        per_item: (n,) each item's own value; NaN if the measure leaves the item out.
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
    """Return the statistics of a measure whose value is the mean of its items', NaN left out."""
    counted = ~np.isnan(per_item)
    return Statistics(per_item, np.column_stack([np.where(counted, per_item, 0.0), counted]), _ratio)


def _ratio(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def difference_of(ours: Statistics, theirs: Statistics) -> Statistics:
    """Return the statistics of the difference of two systems' values on the same items, for a paired interval."""
    own = ours.columns.shape[1]
    return Statistics(
        ours.per_item - theirs.per_item,
        np.hstack([ours.columns, theirs.columns]),
        lambda sums: ours.aggregate(sums[:own]) - theirs.aggregate(sums[own:]),
    )


def intervals(
    statistics: Mapping[Name, Statistics], places: Integers, clusters: Integers | None = None
) -> dict[Name, Interval]:
    """Return the 95% percentile bootstrap interval (Efron 1979) of each value over the items at `places`.

    Whole clusters are resampled (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
    Everything, all measures of all systems, is computed on the same `SAMPLES` resamples, from the sums of the
    statistics, so that a corpus measure such as BLEU is that of the resampled corpus. CIDEr keeps its document
    frequencies, which are those of the whole set.
    """
    columns = [one.columns for one in statistics.values()]
    sums = _sums(columns, places, clusters, resamples, SAMPLES, "intervals")
    return {
        name: percentiles([one.aggregate(row) for row in of_one])
        for (name, one), of_one in zip(statistics.items(), sums, strict=True)
    }


def p_values(
    ours: Mapping[Name, Statistics],
    theirs: Mapping[Name, Statistics],
    places: Integers,
    clusters: Integers | None = None,
) -> dict[Name, float]:
    """Return the two-sided p of each pair's difference over the items at `places`, by approximate randomisation.

    Were two systems equally good, nothing would change if they swapped their captions of a cluster. In each of `TRIALS`
    trials every cluster is swapped with probability 1/2, the same ones for all pairs; if c trials show at least the
    observed difference, p = (1 + c) / (1 + `TRIALS`). Source: Riezler and Maxwell, On Some Pitfalls in Automatic
    Evaluation and Significance Testing for MT, 2005. The paired bootstrap is not offered: it uses the spread around
    the observed difference as the spread under the null hypothesis, assumes that the items are representative, and has,
    as they show, more false positives.
    """
    changes = _differences([(ours[name].columns, theirs[name].columns) for name in ours])
    moved = _sums(changes, places, clusters, swaps, TRIALS, "p-values")
    return {name: _p(ours[name], theirs[name], places, by) for name, by in zip(ours, moved, strict=True)}


def holm(values: Mapping[Name, float]) -> dict[Name, float]:
    """Return the p-values corrected for their number: all below alpha are true with probability 1 - alpha.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979: the k-th smallest of m times
    m - k + 1, never less than the one before, at most 1.
    """
    corrected, least = {}, 0.0
    for rank, name in enumerate(sorted(values, key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[name]))
        corrected[name] = least
    return {name: corrected[name] for name in values}


def _differences(pairs: Sequence[tuple[Floats, Floats]]) -> list[Floats]:
    """Return what a swap adds to the first's sums and subtracts from the second's; once for the same arrays."""
    made: dict[tuple[int, int], Floats] = {}
    for one, other in pairs:
        if (id(one), id(other)) not in made:
            made[id(one), id(other)] = other - one
    return [made[id(one), id(other)] for one, other in pairs]


def _p(mine: Statistics, other: Statistics, places: Integers, moved: Floats) -> float:
    def difference(moved: Floats | float) -> float:
        return abs(mine.aggregate(own + moved) - other.aggregate(its - moved))

    own, its = mine.columns[places].sum(axis=0), other.columns[places].sum(axis=0)
    least = difference(0.0) - _ROUNDING * max(abs(mine.aggregate(own)), abs(other.aggregate(its)))
    return (1 + sum(difference(by) >= least for by in moved)) / (1 + len(moved))


def resamples(clusters: int) -> Iterator[Floats]:
    """Yield how often each cluster is drawn in each of `SAMPLES` resamples, in blocks of (samples, clusters)."""
    draw = np.random.default_rng(_SEED)
    for size in _blocks(SAMPLES, clusters):
        drawn = draw.integers(clusters, size=(size, clusters), dtype=np.uint32)
        yield np.array([np.bincount(row, minlength=clusters) for row in drawn], dtype=np.float64)


def swaps(clusters: int) -> Iterator[Floats]:
    """Yield 1 for each cluster that is swapped in each of `TRIALS` trials, else 0, in blocks of (trials, clusters)."""
    draw = np.random.default_rng(_SEED)
    for size in _blocks(TRIALS, clusters):
        yield draw.integers(2, size=(size, clusters), dtype=np.uint32).astype(np.float64)


def _blocks(rows: int, clusters: int) -> Iterator[int]:
    block = max(1, _BLOCK // clusters)
    return (min(block, rows - start) for start in range(0, rows, block))


def _sums(
    columns: Sequence[Floats],
    places: Integers,
    clusters: Integers | None,
    draw: Callable[[int], Iterable[Floats]],
    rows: int,
    what: str,
) -> list[Floats]:
    """Return (rows, k) sums of each array's rows at `places`, by each row of the weights; one product for all."""
    distinct = {id(array): array for array in columns}
    together = np.hstack([array[places] for array in distinct.values()])
    if clusters is not None:
        together = _sums_of_clusters(together, clusters)
    ends = np.cumsum([array.shape[1] for array in distinct.values()])
    blocks = []
    with progress(None, what, total=rows, delay=_PATIENCE) as bar:
        for block in draw(len(together)):
            blocks.append(block @ together)
            bar.update(len(block))
    parts = dict(zip(distinct, np.split(np.concatenate(blocks), ends[:-1], axis=1), strict=True))
    return [parts[id(array)] for array in columns]


def _sums_of_clusters(rows: Floats, clusters: Integers) -> Floats:
    return np.column_stack([np.bincount(clusters, weights=column) for column in rows.T])


def percentiles(values: Sequence[float] | Floats) -> Interval:
    """Return the 95% percentile interval of a value's resamples."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
