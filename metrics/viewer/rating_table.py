"""Ratings of scored captions as arrays: of items by systems by raters, beside the measures' scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from metrics.measures.statistics import Floats
from metrics.records.captions import CaptionRecord
from metrics.viewer.agreement import coincidences
from metrics.viewer.ratings import RATINGS, Rating

Scores = Mapping[tuple[str, str], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Who rated what how.

    Attributes:
        items: n items, each with a rating.
        systems: the names of s systems.
        raters: the names of r raters.
        values: (n, s, r) the rating, 0 for none.
    """

    items: Sequence[CaptionRecord]
    systems: Sequence[str]
    raters: Sequence[str]
    values: NDArray[np.int8]

    def means(self) -> Floats:
        """Return the mean rating of each item's caption of each system (n, s), NaN if nobody rated it."""
        raters = np.count_nonzero(self.values, axis=2)
        means: Floats = np.full(raters.shape, np.nan)
        np.divide(self.values.sum(axis=2), raters, out=means, where=raters > 0)
        return means

    def coincidences(self) -> Floats:
        """Return each item's coincidences of ratings (n, k, k), those of its captions added up (`agreement`)."""
        counts = np.stack([np.count_nonzero(self.values == rating, axis=2) for rating in RATINGS], axis=2)
        size = len(RATINGS)
        of_captions = coincidences(counts.reshape(-1, size).astype(np.float64))
        of_items: Floats = of_captions.reshape(len(self.items), -1, size, size).sum(axis=1)
        return of_items

    def duels(self, one: int, other: int) -> Floats:
        """Return how many raters of both captions of an item preferred the first, neither, the other: (n, 3)."""
        ours, theirs = self.values[:, one], self.values[:, other]
        both = (ours > 0) & (theirs > 0)
        outcomes = [ours > theirs, ours == theirs, ours < theirs]
        return np.stack([np.count_nonzero(both & outcome, axis=1) for outcome in outcomes], axis=1).astype(np.float64)


def tabulate(ratings: Sequence[Rating], items: Sequence[CaptionRecord], systems: Sequence[str]) -> RatingTable:
    """Arrange ratings of `items` by `systems`; others, and notes without a rating, are left out."""
    known = {item.id for item in items}
    rated = [one for one in ratings if one.rating and one.item in known and one.system in systems]
    raters = sorted({one.rater for one in rated})
    ids = {one.item for one in rated}
    kept = [item for item in items if item.id in ids]
    row = {item.id: place for place, item in enumerate(kept)}
    column = {name: place for place, name in enumerate(systems)}
    layer = {name: place for place, name in enumerate(raters)}
    values = np.zeros((len(kept), len(systems), len(raters)), dtype=np.int8)
    for one in rated:
        values[row[one.item], column[one.system], layer[one.rater]] = one.rating or 0
    return RatingTable(kept, systems, raters, values)


def score_array(table: RatingTable, scores: Scores, measure: str) -> Floats:
    """Return a measure's score of each caption (n, s), NaN if it leaves the item out."""
    values = [[scores.get((item.id, system), {}).get(measure) for system in table.systems] for item in table.items]
    return np.array(values, dtype=np.float64)


def preferences(means: Floats, scores: Floats) -> Floats:
    """Return how often a measure prefers the caption of two that people prefer, and of how many pairs: (n, 2) by item.

    Pairs of an item's captions count that the measure scores and people rate differently; a tie of the measure is half.

    Args:
        means: (n, s) mean ratings, NaN if there is none.
        scores: (n, s) the measure's scores, NaN if there is none.
    """
    found = np.zeros((len(means), 2))
    for one, other in combinations(range(means.shape[1]), 2):
        people = np.sign(means[:, one] - means[:, other])
        measure = np.sign(scores[:, one] - scores[:, other])
        counted = np.abs(people) > 0  # NaN is not
        counted &= ~np.isnan(measure)
        found[counted, 0] += (1 + people[counted] * measure[counted]) / 2
        found[:, 1] += counted
    return found
