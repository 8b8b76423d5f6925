"""What is found for queries that are items themselves."""

from collections.abc import Callable

import numpy as np

from metrics.common.errors import UserError
from recommend.evaluation.attributes import Places, candidates
from recommend.features.fusion import Rows
from recommend.items.exact import search

_QUERIES, _ROWS = 1024, 8192


def check_k(k: int, products: Places, queries: Places, siblings: bool) -> None:
    """Raise `UserError` if a query has fewer than k items that could be found."""
    fewest = int(candidates(products, queries, siblings).min())
    if fewest < k:
        without = "" if siblings else ", siblings out"
        raise UserError(
            f"k is {k}, but for some query only {fewest} other item(s) could be found{without}; lower --k, or embed "
            "more items"
        )


def neighbours(units: Rows, queries: Places, k: int, products: Places, siblings: bool) -> Places:
    """The k items (q, k) with the largest cosine to each query, best first, of the unit vectors (n, d).

    A query never finds itself; without `siblings` nor what has its product. `check_k` was called before.
    """
    blocks = [units[start : start + _ROWS] for start in range(0, len(units), _ROWS)]
    owners = np.arange(len(units)) if siblings else products
    found = [
        search(units[part], blocks, k, hiding(owners, part)).places
        for part in np.split(queries, range(_QUERIES, len(queries), _QUERIES))
    ]
    return np.concatenate(found)


def hiding(owners: Places, queries: Places) -> Callable[[Rows, int], None]:
    """Hide from each query what has the same owner: itself, or its product."""

    def hide(scores: Rows, first: int) -> None:
        scores[owners[queries][:, None] == owners[first : first + scores.shape[1]]] = -np.inf

    return hide
