"""What remains of a system's captions when the least confident are withheld: selective prediction.

Coverage is the share of items that are kept, those whose confidence is at least a threshold; the curve has the mean of
a measure over them. Sources: El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, 2010 (risk
and coverage); Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, 2017 (a threshold for a wanted
risk, chosen by a bound). Arguments are (n,) arrays over items: confidences, a measure's own values without NaN, and
numbers of clusters.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.common.screen import progress
from metrics.measures.statistics import SAMPLES, Floats, Interval, intervals, mean_of, percentiles, resamples
from metrics.scoring.clusters import FEWEST
from metrics.text.ngrams import Integers

_MOST_BINS = 10
_MOST_THRESHOLDS = 100
_PATIENCE = 2.0  # seconds before the bar appears


@dataclass(frozen=True, slots=True)
class Part:
    """The mean of a measure over some of the items.

    Attributes:
        threshold: the items' least confidence; in a curve a number of few digits that keeps the same items.
        confidence: their mean confidence.
        n: how many they are, in how many `clusters`; `coverage` is their share of all.
        value: the mean, with its 95% `interval` over clusters.
    """

    threshold: float
    confidence: float
    n: int
    clusters: int
    coverage: float
    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Selection:
    """A system's captions by confidence.

    Attributes:
        curve: what is kept at up to 100 thresholds, the highest first; the last one keeps all.
        area: the mean over items of the curve's value at the threshold that is the item's own confidence. If the
            measure is a precision, 1 - area is the AURC, the area under the curve of risk and coverage.
        best_area: the area if the best items were the most confident; in random order it is the mean of all.
        correlation: Spearman's rank correlation of confidence and value; None if all of either are equal, and without
            an interval if they are in a resample.
    """

    curve: Sequence[Part]
    area: float
    area_interval: Interval
    best_area: float
    correlation: float | None
    correlation_interval: Interval | None


def select(confidence: Floats, values: Floats, clusters: Integers) -> Selection:
    """Withhold the least confident items, ever more of them; equally confident ones are withheld together."""
    items = _Ordered(confidence, values, clusters)
    found = items.figures(np.ones(len(values)))
    drawn = np.array([items.figures(weights) for weights in _resampled(items.clusters)])
    bounds = [_bounds(column) for column in drawn.T]
    curve = [
        Part(*items.kept(end), value=float(value), interval=interval or (float(value), float(value)))
        for end, value, interval in zip(items.steps, found, bounds, strict=False)
    ]
    area, correlation = map(float, found[-2:])
    is_known = not np.isnan([*drawn[:, -1], correlation]).any()
    return Selection(
        curve,
        area,
        bounds[-2] or (area, area),
        float(np.mean(np.cumsum(np.sort(values)[::-1]) / np.arange(1, len(values) + 1))),
        None if math.isnan(correlation) else correlation,
        bounds[-1] if is_known else None,
    )


def reaching(curve: Sequence[Part], wanted: float) -> Part | None:
    """Return what the lowest threshold keeps whose value is at least `wanted` beyond doubt, None if none is.

    Beyond doubt: the lower bound of the value's interval is at least `wanted`, and 30 clusters or more are kept.
    """
    return next((part for part in reversed(curve) if part.clusters >= FEWEST and part.interval[0] >= wanted), None)


def calibration(confidence: Floats, values: Floats, clusters: Integers) -> list[Part]:
    """Return up to 10 bins of as many items each, by rising confidence; equally confident items share a bin.

    There are so many that a bin has 30 clusters or more, on average.
    """
    count = max(1, min(_MOST_BINS, len(np.unique(clusters)) // FEWEST))
    bins = np.searchsorted(np.sort(confidence), confidence) * count // len(confidence)
    statistics, parts = mean_of(values), []
    for number in np.unique(bins):
        places = np.flatnonzero(bins == number)
        names, labels = np.unique(clusters[places], return_inverse=True)
        part = Part(
            threshold=float(confidence[places].min()),
            confidence=float(confidence[places].mean()),
            n=len(places),
            clusters=len(names),
            coverage=len(places) / len(confidence),
            value=statistics.value(places),
            interval=intervals({0: statistics}, places, labels)[0],
        )
        parts.append(part)
    return parts


class _Ordered:
    """Items from the most confident down. `ends` are the last places of equally confident ones, `steps` some of these.

    Equally confident items are in the order of their values, so that no sum depends on the order they came in.
    """

    def __init__(self, confidence: Floats, values: Floats, clusters: Integers) -> None:
        order = np.lexsort((values, -confidence))
        self.confidence, self.values = confidence[order], values[order]
        self.clusters = np.unique(clusters[order], return_inverse=True)[1]
        self.ends = _last_of_equal(self.confidence)
        self._starts = np.append(0, self.ends[:-1] + 1)
        self._steps = np.unique(np.linspace(0, len(self.ends) - 1, _MOST_THRESHOLDS).round().astype(np.int64))
        self.steps = self.ends[self._steps]
        self._downwards = np.argsort(-self.values, kind="stable")
        self._value_ends = _last_of_equal(self.values[self._downwards])
        self._value_groups = np.unique(-self.values, return_inverse=True)[1]
        first = np.zeros(len(order), dtype=np.int64)
        first[np.unique(self.clusters, return_index=True)[1]] = 1
        self._clusters_until = np.cumsum(first)

    def kept(self, end: int) -> tuple[float, float, int, int, float]:
        """Return threshold, mean confidence, n, clusters and coverage of the items up to a place."""
        below = self.confidence[end + 1] if end + 1 < len(self.confidence) else -1.0
        threshold = _shortest(float(below), float(self.confidence[end]))
        mean = float(self.confidence[: end + 1].mean())
        return threshold, mean, int(end) + 1, int(self._clusters_until[end]), (int(end) + 1) / len(self.confidence)

    def figures(self, weights: Floats) -> Floats:
        """Return the curve's value at each step, the area and the correlation, if items count `weights` times.

        NaN where nothing is kept, and for the correlation if all confidences or values are equal.
        """
        counts, sums = np.cumsum(weights)[self.ends], np.cumsum(weights * self.values)[self.ends]
        sizes, ranks = _ranks(counts)
        values = sums / np.maximum(counts, 1.0)
        at_steps = np.where(counts[self._steps] > 0, values[self._steps], np.nan)
        return np.array([*at_steps, sizes @ values / counts[-1], self._correlation(weights, sizes, ranks)])

    def _correlation(self, weights: Floats, sizes: Floats, ranks: Floats) -> float:
        """Spearman's: Pearson's of the ranks, equal items sharing their mean rank."""
        value_sizes, value_ranks = _ranks(np.cumsum(weights[self._downwards])[self._value_ends])
        spread = math.sqrt(float(sizes @ ranks**2) * float(value_sizes @ value_ranks**2))
        together = np.add.reduceat(weights * value_ranks[self._value_groups], self._starts) @ ranks
        return float(together) / spread if spread else math.nan


def _last_of_equal(ordered: Floats) -> Integers:
    return np.flatnonzero(np.append(np.diff(ordered) != 0, True))


def _ranks(counts: Floats) -> tuple[Floats, Floats]:
    """Return the sizes and mean ranks, less the mean of all, of groups; `counts` are the items up to each one's end."""
    sizes = np.diff(counts, prepend=0.0)
    return sizes, counts - (sizes - 1) / 2 - (counts[-1] + 1) / 2


def _resampled(clusters: Integers) -> Iterator[Floats]:
    """Yield how often each item is drawn in each resample of clusters."""
    with progress(None, "confidence", total=SAMPLES, delay=_PATIENCE) as bar:
        for block in resamples(int(clusters.max()) + 1):
            for row in block:
                yield row[clusters]
                bar.update()


def _bounds(column: Floats) -> Interval | None:
    known = column[~np.isnan(column)]
    return percentiles(known) if len(known) else None


def _shortest(above: float, most: float) -> float:
    """Return the number of fewest decimals above `above` and at most `most`; 0 if `above` is negative."""
    for digits in range(16 if above >= 0 else 0):
        power = 10.0**digits
        rounded = math.floor(most * power) / power
        if above < rounded <= most:
            return rounded
    return most if above >= 0 else 0.0
