"""What customers bought in the test part: the articles that a list should have named."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Relevant:
    """The distinct test articles of m customers, as pairs; an article below 0 is none that a list can name.

    Attributes:
        customers: (m,) places of the customers, rising.
        owners: (p,) the row of each pair's customer, rising.
        articles: (p,) rising within a row.
    """

    customers: Places
    owners: Places
    articles: Places

    @property
    def counts(self) -> Places:
        """(m,) how many articles each customer has, those that no list can name among them."""
        return np.bincount(self.owners, minlength=len(self.customers))

    def only(self, wanted: NDArray[np.bool_]) -> "Relevant":
        """The articles that `wanted` (I,) names, and the customers who have one; for instance those of the cold slice.

        Articles that no list can name are left out.
        """
        keep = (self.articles >= 0) & wanted[np.maximum(self.articles, 0)]
        rows, owners = np.unique(self.owners[keep], return_inverse=True)
        return Relevant(self.customers[rows], owners, self.articles[keep])


def relevant(customers: NDArray[np.integer], articles: NDArray[np.integer], counted: NDArray[np.bool_]) -> Relevant:
    """The relevant articles of the customers that `counted` (U,) names, from n test purchases; duplicates collapse.

    Customers without a purchase here have no row. Numbers below 0 are articles that are no candidates, each its own.
    """
    keep = counted[customers]
    lowest = min(int(articles.min(initial=0)), 0)
    width = int(articles.max(initial=0)) - lowest + 1
    pairs = np.sort(customers[keep].astype(np.int64) * width + (articles[keep].astype(np.int64) - lowest))
    who, bought = np.divmod(pairs[_changes(pairs)], width)
    first = _changes(who)
    return Relevant(who[first], first.cumsum() - 1, bought + lowest)


def _changes(values: Places) -> NDArray[np.bool_]:
    """Where sorted values differ from the one before; `numpy.unique` takes a hundred times as long for millions."""
    return np.append(np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1])
