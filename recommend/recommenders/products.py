"""Lists by dot products where some articles are no candidates, and of some customers nothing is known."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from recommend.recommenders.base import PAD, Floats, Recommendations
from recommend.recommenders.selection import best_products


def best_candidates(
    customers: Floats,
    articles: Floats,
    k: int,
    seen: scipy.sparse.csr_matrix | None,
    candidates: NDArray[np.bool_],
) -> Recommendations:
    """The k highest dot products of the rows of customers (m, d) and of the articles (I, d) that are `candidates` (I,).

    Those `seen` (m, I) are left out. A customer's row of zeros says that nothing is known: the list is empty.
    """
    places = np.flatnonzero(candidates)
    if len(places) < len(articles):
        articles, seen = articles[places], None if seen is None else seen[:, places]
    found = best_products(customers, articles, k, seen)
    there = (found.ids != PAD) & np.asarray(customers.any(axis=1))[:, None]
    ids = places[found.ids] if len(places) else found.ids
    return Recommendations(
        np.where(there, ids, PAD).astype(np.int32), np.where(there, found.scores, -np.inf).astype(np.float32)
    )
