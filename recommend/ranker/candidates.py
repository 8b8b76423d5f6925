"""What may be ranked for a customer: its last articles, what is similar to these, what sells best."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommend.interactions.interactions import Purchases
from recommend.ranker.history import Floats, History, Places, ranges
from recommend.ranker.recipe import CandidateCounts
from recommend.recommenders.content_table import read_neighbours


@dataclass(frozen=True)
class Neighbours:
    """The nearest articles of each article, the nearest first: its own from `starts` (I + 1,) on."""

    starts: Places
    articles: NDArray[np.int32]
    cosines: Floats
    left_out: int
    """Rows of the table that are of no two articles of the purchases."""

    @property
    def most(self) -> int:
        """How many an article has at most."""
        return int(np.diff(self.starts).max(initial=0))

    @classmethod
    def read(cls, path: Path, purchases: Purchases) -> "Neighbours":
        """From the table of `similar --all`. Raises `UserError` if it is damaged, or of other articles alone."""
        matrix, left_out = read_neighbours(path, purchases.article_ids)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        order = np.lexsort((matrix.indices, -matrix.data, rows))
        return cls(matrix.indptr.astype(np.int64), matrix.indices[order], matrix.data[order], left_out)


@dataclass(frozen=True)
class Candidates:
    """n pairs of m customers and an article, by customer, articles rising.

    Attributes:
        customers: (m,) places, rising.
        owners: (n,) the row of each pair's customer.
        articles: (n,)
        cosines: (n,) the highest one to an article that the customer bought, among the nearest of these; else NaN.
    """

    customers: Places
    owners: Places
    articles: Places
    cosines: Floats

    def of(self, wanted: NDArray[np.bool_]) -> "Candidates":
        """Those of some of the customers, which `wanted` (m,) names."""
        keep = wanted[self.owners]
        rows = np.cumsum(wanted) - 1
        return Candidates(self.customers[wanted], rows[self.owners[keep]], self.articles[keep], self.cosines[keep])

    def pairs(self, history: History) -> Places:
        """(n,) the pair of the history that a candidate is, -1 if the customer had not bought it."""
        owners, pairs = history.of(self.customers)
        if not len(pairs):
            return np.full(len(self.articles), -1)
        width = len(history.rank)
        keys = owners * width + history.articles[pairs]
        order = np.argsort(keys)
        asked = self.owners * width + self.articles
        place = np.minimum(np.searchsorted(keys, asked, sorter=order), len(keys) - 1)
        return np.where(keys[order][place] == asked, pairs[order][place], -1)


def candidates(
    history: History, customers: Places, counts: CandidateCounts, neighbours: Neighbours | None = None
) -> Candidates:
    """The distinct candidates of some customers (m,); of one without a history these are the bestsellers."""
    width = len(history.rank)
    owners, pairs = history.of(customers, counts.purchases)
    bought = owners * width + history.articles[pairs]
    near, cosines = _similar(owners, history.articles[pairs], counts.similar, neighbours, width)
    best = history.bestsellers[: counts.bestsellers]
    sold = (np.arange(len(customers))[:, None] * width + best).ravel()
    keys = np.unique(np.concatenate([bought, near, sold]))
    highest = np.full(len(keys), np.nan, dtype=np.float32)
    np.fmax.at(highest, np.searchsorted(keys, near), cosines)
    rows, articles = np.divmod(keys, width)
    return Candidates(customers, rows, articles, highest)


def _similar(
    owners: Places, bought: NDArray[np.int32], most: int, neighbours: Neighbours | None, width: int
) -> tuple[Places, Floats]:
    """The keys of the nearest articles of each bought one, at most so many, and their cosines."""
    if neighbours is None:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    counts = np.minimum(neighbours.starts[bought + 1] - neighbours.starts[bought], most)
    places = ranges(neighbours.starts[bought], counts)
    return np.repeat(owners, counts) * width + neighbours.articles[places], neighbours.cosines[places]
