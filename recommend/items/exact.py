"""The exact k nearest rows by dot product, from blocks of products; memory does not grow with queries times rows.

A block of products is read once: only what is above a query's k-th best so far is looked at again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommend.features.fusion import Rows

Places = NDArray[np.int64]
Codes = NDArray[np.int32]
Hide = Callable[[Rows, int], None]  # sets scores (queries, rows) of a block, which begins at a row, to -inf
QUERIES, ROWS = 1024, 8192  # of a block of products
_FIRST = 2048  # rows that the first bound on a query's k-th best comes from


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest rows of q queries, best first; equal ones in the order of their places.

    Attributes:
        scores: (q, k) dot products; -inf where there are fewer than k rows to find.
        places: (q, k) numbers of the rows, -1 where there are fewer.
    """

    scores: Rows
    places: Places


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which pairs of items count in a search of all for all; codes (n,) are numbers from 0 up.

    Attributes:
        apart: items with the same code are not found for each other: each its own code, or that of its product.
        alike: only items with the same code are found for each other; None: all.
    """

    apart: Codes
    alike: Codes | None = None


def search(queries: Rows, blocks: Iterable[Rows], k: int, hide: Hide | None = None) -> Found:
    """The k nearest of all rows, which come in blocks (at most _, d), for each query (q, d)."""
    best = _Best(len(queries), k)
    start = 0
    for block in blocks:
        scores = queries @ block.T
        if hide is not None:
            hide(scores, start)
        best.add(scores, start)
        start += len(block)
    return best.found()


def all_nearest(
    rows: Rows, k: int, pairs: Pairs | None = None, queried: Places | None = None
) -> Iterator[tuple[int, Found]]:
    """The k nearest of the other rows for each row (n, d), or for those at `queried`.

    They come 1,024 at a time, with the number of the first of these.
    """
    pairs = pairs or Pairs(np.arange(len(rows), dtype=np.int32))
    queried = np.arange(len(rows)) if queried is None else queried
    for start in range(0, len(queried), QUERIES):
        part = queried[start : start + QUERIES]
        blocks = (rows[first : first + ROWS] for first in range(0, len(rows), ROWS))
        yield start, search(rows[part], blocks, k, hidden(pairs, part))


def hidden(pairs: Pairs, queried: Places) -> Hide:
    """Hide the pairs that do not count from a search for the rows at `queried` (q,)."""

    def hide(scores: Rows, first: int) -> None:
        last = first + scores.shape[1]
        scores[pairs.apart[queried, None] == pairs.apart[first:last]] = -np.inf
        if pairs.alike is not None:
            scores[pairs.alike[queried, None] != pairs.alike[first:last]] = -np.inf

    return hide


class _Best:
    """The k best of each query so far, as parallel lists of query, score and place, sorted."""

    def __init__(self, queries: int, k: int) -> None:
        self.queries, self.k = queries, k
        self.query, self.score = np.empty(0, np.int64), np.empty(0, np.float32)
        self.place = np.empty(0, np.int64)
        self.least = np.full(queries, -np.inf, np.float32)  # the k-th best, which a later row must exceed

    def add(self, scores: Rows, start: int) -> None:
        """Take in the scores (q, rows) of a block that begins at row `start`; -inf counts for nothing."""
        above = scores > self.least[:, None]
        if start == 0 and self.k < scores.shape[1]:  # nothing is known yet, and nearly all would have to be sorted
            part = scores[:, : max(_FIRST, self.k)]
            above &= scores >= np.partition(part, -self.k, axis=1)[:, -self.k, None]
        found = np.flatnonzero(above)
        query, column = np.divmod(found, scores.shape[1])
        self._merge(query, scores.ravel()[found], column + start)

    def _merge(self, query: Places, score: Rows, place: Places) -> None:
        query = np.concatenate([self.query, query])
        score, place = np.concatenate([self.score, score]), np.concatenate([self.place, place])
        order = np.lexsort((place, -score, query))
        query, score, place = query[order], score[order], place[order]
        rank = _ranks(query, self.queries)
        keep = rank < self.k
        self.query, self.score, self.place = query[keep], score[keep], place[keep]
        last = rank == self.k - 1
        self.least[query[last]] = score[last]

    def found(self) -> Found:
        scores = np.full((self.queries, self.k), -np.inf, np.float32)
        places = np.full((self.queries, self.k), -1, np.int64)
        rank = _ranks(self.query, self.queries)
        scores[self.query, rank], places[self.query, rank] = self.score, self.place
        return Found(scores, places)


def _ranks(query: Places, queries: int) -> Places:
    """The number of each entry, from 0, among those of its query; `query` is sorted."""
    starts = np.searchsorted(query, np.arange(queries))
    return np.asarray(np.arange(len(query)) - starts[query], dtype=np.int64)
