"""What a model's lists are worth: all measures, of all customers, on cold articles, by activity."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommend.experiments.data import Part
from recommend.ranking.estimates import estimates
from recommend.ranking.hits import Hits, Lists, grouped, marks_of
from recommend.ranking.lists import list_values
from recommend.ranking.measures import MEAN_PRECISION, pattern_values
from recommend.ranking.relevant import Relevant

ALL, COLD = "all", "cold"


def main_measures(ks: Sequence[int]) -> list[str]:
    """The measures of the paper's table at each k: nDCG, and MAP as Elliot computes it."""
    return [form.format(k=k) for form in ("nDCG@{k}", MEAN_PRECISION) for k in ks]


@dataclass(frozen=True)
class Slice:
    """The lists of m customers, and what counts as a hit.

    `cold` has the customers who bought an article that nobody had bought in training, and only such articles count.

    Attributes:
        customers: (m,) their places.
        lists: (m, k) articles, -1 at pads.
        marks: (m, k) which of these are hits.
        sizes: (m,) how many articles would be hits.
    """

    customers: NDArray[np.int64]
    lists: Lists
    marks: NDArray[np.bool_]
    sizes: NDArray[np.int64]

    @cached_property
    def hits(self) -> Hits:
        """The hits by pattern."""
        return grouped(self.marks, self.sizes)

    def values(self, ks: Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """Every measure of every customer, (m,)."""
        by_pattern = pattern_values(self.hits, ks)
        return {name: values[self.hits.of].astype(np.float32) for name, values in by_pattern.items()}


def slices_of(ids: Lists, part: Part) -> dict[str, Slice]:
    """All measured customers with their lists `ids`, and the cold articles if any of them can be in a list."""
    found = {ALL: _slice(ids, part.relevant)}
    cold = part.relevant.only(part.cold)
    if len(cold.customers):
        rows = np.searchsorted(part.relevant.customers, cold.customers)
        found[COLD] = _slice(ids[rows], cold)
    return found


def measured(slices: Mapping[str, Slice], part: Part, ks: Sequence[int]) -> dict[str, Any]:
    """Every estimate by slice or activity, and what the lists show, for JSON."""
    found = {name: estimates(one.hits, ks) for name, one in slices.items()}
    for name, among in part.by_activity.items():
        found[name] = estimates(slices[ALL].hits, ks, among)
    bought = part.train.matrix
    buyers = np.bincount(bought.indices, minlength=bought.shape[1])
    customers = int((np.diff(bought.indptr) > 0).sum())
    return {
        "estimates": {name: {key: asdict(one) for key, one in of_slice.items()} for name, of_slice in found.items()},
        "lists": list_values(slices[ALL].lists, buyers, customers, ks),
    }


def mean_value(ids: Lists, part: Part, measure: str, k: int) -> float:
    """The mean of one measure over all customers."""
    return float(_slice(ids, part.relevant).values([k])[measure].mean(dtype=np.float64))


def _slice(ids: Lists, relevant: Relevant) -> Slice:
    return Slice(relevant.customers, ids, marks_of(ids, relevant), relevant.counts)
