"""Which places of a list are hits, and the few patterns of hits that all customers share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommend.ranking.relevant import Places, Relevant

Lists = NDArray[np.int32]


@dataclass(frozen=True)
class Hits:
    """The hits of m customers, by pattern: every measure of a list depends on its pattern alone.

    Of 1.2 million lists of 12, nearly all have none or one hit, so that there are some thousand patterns.

    Attributes:
        marks: (g, K) whether the article at each place is relevant.
        sizes: (g,) how many relevant articles there are.
        of: (m,) the pattern of each customer.
    """

    marks: NDArray[np.bool_]
    sizes: Places
    of: Places


def hits(ids: Lists, relevant: Relevant) -> Hits:
    """Find the hits of the lists `ids` (m, K), -1 at pads, of the customers of `relevant`, in their order."""
    return grouped(marks_of(ids, relevant), relevant.counts)


def marks_of(ids: Lists, relevant: Relevant) -> NDArray[np.bool_]:
    """Whether each article of the lists `ids` (m, K) is relevant, (m, K)."""
    width = 1 + max(int(ids.max(initial=0)), int(relevant.articles.max(initial=0)))
    named = relevant.articles >= 0
    known = relevant.owners[named] * width + relevant.articles[named]
    asked = np.arange(len(ids), dtype=np.int64)[:, None] * width + ids
    found = np.searchsorted(known, asked)
    found[found == len(known)] = 0
    marks: NDArray[np.bool_] = (ids >= 0) & (known[found] == asked) if len(known) else np.zeros(ids.shape, bool)
    return marks


def grouped(marks: NDArray[np.bool_], sizes: Places) -> Hits:
    """The distinct rows of marks (m, K) with their sizes (m,)."""
    packed = np.packbits(marks, axis=1)
    codes = np.hstack([packed, sizes.astype("<i8")[:, None].view(np.uint8)])
    rows = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.shape[1]))).ravel()
    _, first, of = np.unique(rows, return_index=True, return_inverse=True)
    return Hits(marks[first], sizes[first], of)
