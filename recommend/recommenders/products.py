"""Lists by dot products of customers' and articles' rows, in blocks: no array of customers by articles."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from recommend.items.exact import ROWS, search
from recommend.recommenders.base import Floats, Recommendations


def best_products(
    customers: Floats, articles: Floats, k: int, seen: scipy.sparse.csr_matrix | None, hidden: NDArray[np.bool_]
) -> Recommendations:
    """The k articles of `articles` (I, d) with the largest dot product for each row of `customers` (m, d).

    Args:
        customers: a row of zeros is of a customer of whom nothing is known, whose list is empty.
        articles: their rows.
        k: how many.
        seen: (m, I) articles that a customer must not be given; None: none.
        hidden: (I,) articles that nobody is given.
    """
    owners, places = _by_article(seen) if seen is not None else (np.empty(0, np.int64), np.empty(0, np.int64))

    def hide(scores: Floats, first: int) -> None:
        last = first + scores.shape[1]
        start, end = np.searchsorted(places, [first, last])
        scores[owners[start:end], places[start:end] - first] = -np.inf
        scores[:, hidden[first:last]] = -np.inf

    found = search(customers, _blocks(articles), k, hide)
    ids, scores = found.places.astype(np.int32), found.scores
    unknown = ~customers.any(axis=1)
    ids[unknown], scores[unknown] = -1, -np.inf
    return Recommendations(ids, scores)


def _blocks(articles: Floats) -> Iterator[Floats]:
    return (articles[start : start + ROWS] for start in range(0, len(articles), ROWS))


def _by_article(seen: scipy.sparse.csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of a matrix in the order of their articles."""
    by_article = seen.tocsc()
    return by_article.indices.astype(np.int64), np.repeat(np.arange(seen.shape[1]), np.diff(by_article.indptr))
