"""The best k of each customer's scores, exactly: equal scores in the order of the articles' places."""

from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from recommend.items.exact import search
from recommend.recommenders.base import PAD, Floats, Recommendations

_ROWS = 8192  # articles of a block of products
_SCORE_BITS = 31  # of a float32 that is not negative


def best_stored(scores: scipy.sparse.csr_matrix, k: int) -> Recommendations:
    """The k highest of the stored scores above 0 in each row (m, I), as float32."""
    column_bits = max(scores.shape[1] - 1, 1).bit_length()
    rows_at_once = 1 << (63 - _SCORE_BITS - column_bits)
    ids = np.full((scores.shape[0], k), PAD, dtype=np.int32)
    values = np.full((scores.shape[0], k), -np.inf, dtype=np.float32)
    for start in range(0, scores.shape[0], rows_at_once):
        part = slice(start, start + rows_at_once)
        ids[part], values[part] = _best_of_block(scores[part], k, column_bits)
    return Recommendations(ids, values)


def _best_of_block(scores: scipy.sparse.csr_matrix, k: int, column_bits: int) -> tuple[NDArray[np.int32], Floats]:
    """Sort numbers made of row, score (reversed) and column: a sort of integers is by far the fastest."""
    kept = scores.data.astype(np.float32) > 0
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))[kept]
    # Floats that are not negative are in the order of their bits.
    bits = scores.data[kept].astype(np.float32).view(np.int32)
    worse = np.iinfo(np.int32).max - bits.astype(np.int64)
    keys = (rows << (_SCORE_BITS + column_bits)) | (worse << column_bits) | scores.indices[kept]
    keys.sort()
    counts = np.bincount(rows, minlength=scores.shape[0])
    places = (counts.cumsum() - counts)[:, None] + np.arange(k)
    there = np.arange(k) < counts[:, None]
    found = keys[np.where(there, places, 0)] if len(keys) else np.zeros(places.shape, np.int64)
    worse = (found >> column_bits) & np.iinfo(np.int32).max
    values = (np.iinfo(np.int32).max - worse).astype(np.int32).view(np.float32)
    columns = found & ((1 << column_bits) - 1)
    return np.where(there, columns, PAD).astype(np.int32), np.where(there, values, -np.inf).astype(np.float32)


def best_products(
    customers: Floats, articles: Floats, k: int, seen: scipy.sparse.csr_matrix | None = None
) -> Recommendations:
    """The k highest dot products of the rows of customers (m, d) and articles (I, d); those `seen` (m, I) left out."""
    blocks = (articles[start : start + _ROWS] for start in range(0, len(articles), _ROWS))
    found = search(customers, blocks, k, None if seen is None else _hiding(seen))
    return Recommendations(found.places.astype(np.int32), found.scores)


def _hiding(seen: scipy.sparse.csr_matrix) -> Callable[[Floats, int], None]:
    rows, columns = seen.nonzero()

    def hide(scores: Floats, first: int) -> None:
        inside = (columns >= first) & (columns < first + scores.shape[1])
        scores[rows[inside], columns[inside] - first] = -np.inf

    return hide


def first_open(hidden: Callable[[int], NDArray[np.bool_]], k: int, total: int) -> NDArray[np.int64]:
    """The first k places of each row that are not hidden, (m, k), -1 where there are fewer.

    `hidden` tells of the first places, as many as it is given, (m, places), whether each is hidden; `total` is all.
    """
    is_open = next(shown for shown in _longer(hidden, k, total) if shown.shape[1] == total or _enough(shown, k))
    ranks = is_open.cumsum(axis=1)
    rows, columns = np.nonzero(is_open & (ranks <= k))
    places = np.full((len(is_open), k), -1)
    places[rows, ranks[rows, columns] - 1] = columns
    return places


def _longer(hidden: Callable[[int], NDArray[np.bool_]], k: int, total: int) -> Iterator[NDArray[np.bool_]]:
    length = k
    while True:
        length = min(2 * length, total)
        yield ~hidden(length)


def _enough(shown: NDArray[np.bool_], k: int) -> bool:
    return bool((shown.sum(axis=1) >= k).all())
