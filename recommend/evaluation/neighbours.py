"""What is found for queries that are items themselves."""

import numpy as np

from metrics.common.errors import UserError
from recommend.evaluation.attributes import Places, candidates
from recommend.features.fusion import Rows
from recommend.items.exact import Pairs, all_nearest


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
    owners = np.arange(len(units)) if siblings else products
    searched = all_nearest(units, k, Pairs(owners.astype(np.int32)), queries)
    return np.concatenate([found.places for _, found in searched])
