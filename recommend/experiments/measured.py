"""What a model's lists are worth: all measures, of all customers, on cold articles, by activity."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recommend.experiments.data import Part
from recommend.ranking.estimates import Difference, Estimate, differences, estimates
from recommend.ranking.hits import Hits, Lists, hits
from recommend.ranking.lists import list_values
from recommend.ranking.measures import pattern_values

ALL, COLD = "all", "cold"
Estimates = dict[str, Estimate]


@dataclass(frozen=True)
class Slice:
    """Customers whose lists are measured, and the hits of these lists.

    `cold` are those who bought an article that nobody had bought in training; only such articles count as hits there.
    """

    name: str
    hits: Hits


def slices(ids: Lists, part: Part) -> list[Slice]:
    """All customers, and the cold articles if any of them can be in a list."""
    found = [Slice(ALL, hits(ids, part.relevant))]
    cold = part.relevant.only(part.cold)
    if len(cold.customers):
        rows = np.searchsorted(part.relevant.customers, cold.customers)
        found.append(Slice(COLD, hits(ids[rows], cold)))
    return found


def measured(ids: Lists, part: Part, ks: Sequence[int]) -> dict[str, Any]:
    """Every estimate by slice and measure, and what the lists show, for JSON."""
    by_slice: dict[str, Estimates] = {one.name: estimates(one.hits, ks) for one in slices(ids, part)}
    everybody = hits(ids, part.relevant)
    for name, among in part.by_activity.items():
        by_slice[name] = estimates(everybody, ks, among)
    buyers = np.bincount(part.train.matrix.indices, minlength=len(part.train.article_ids))
    customers = int((np.diff(part.train.matrix.indptr) > 0).sum())
    return {
        "estimates": {name: _plain(one) for name, one in by_slice.items()},
        "lists": list_values(ids, buyers, customers, ks),
    }


def mean_value(ids: Lists, part: Part, measure: str, k: int) -> float:
    """The mean of one measure over all customers."""
    found = hits(ids, part.relevant)
    return float(pattern_values(found, [k])[measure][found.of].mean())


def compared(ours: Lists, theirs: Lists, part: Part, ks: Sequence[int]) -> dict[str, dict[str, Difference]]:
    """By slice and measure, how much higher the first model's means are."""
    pairs = zip(slices(ours, part), slices(theirs, part), strict=True)
    return {one.name: differences(one.hits, other.hits, ks) for one, other in pairs}


def _plain(values: Estimates) -> dict[str, Any]:
    return {name: asdict(value) for name, value in values.items()}
