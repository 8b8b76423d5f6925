"""Ratings as an array of items by systems by raters, and what is counted in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from metrics.measures.statistics import Floats
from metrics.viewer.ratings.agreement import coincidences
from metrics.viewer.ratings.store import RATINGS, Rating


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Who rated what how.

    Attributes:
        items: the places of n items, each with a rating, in rising order.
        systems: the names of s systems.
        raters: the names of r raters.
        values: (n, s, r) the rating, 0 for none.
    """

    items: Sequence[int]
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


def tabulate(ratings: Sequence[Rating], ids: Sequence[str], systems: Sequence[str]) -> RatingTable:
    """Arrange the ratings of these items and systems; others, and notes without a rating, are left out."""
    places = {key: place for place, key in enumerate(ids)}
    columns = {name: place for place, name in enumerate(systems)}
    rated = [one for one in ratings if one.rating and one.item in places and one.system in columns]
    items = sorted({places[one.item] for one in rated})
    raters = sorted({one.rater for one in rated})
    rows = {ids[place]: row for row, place in enumerate(items)}
    layers = {name: layer for layer, name in enumerate(raters)}
    values = np.zeros((len(items), len(systems), len(raters)), dtype=np.int8)
    for one in rated:
        values[rows[one.item], columns[one.system], layers[one.rater]] = one.rating or 0
    return RatingTable(items, systems, raters, values)


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
