"""How good rows of customers and articles are on the validation part, which chooses the number of epochs."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.ranking.measures import ranking_values
from recommend.ranking.relevant import Relevant, relevant
from recommend.recommenders.base import Floats
from recommend.recommenders.products import best_candidates

K = 12
_BATCH = 1024


@dataclass(frozen=True)
class Validation:
    """Customers with a history who bought something in the validation part.

    Attributes:
        relevant: what they bought there.
        seen: (m, I) what they bought in training.
        candidates: (I,) articles that can be ranked.
    """

    relevant: Relevant
    seen: scipy.sparse.csr_matrix
    candidates: NDArray[np.bool_]

    @classmethod
    def of(
        cls, part: Purchases, history: scipy.sparse.csr_matrix, candidates: NDArray[np.bool_], most: int, seed: int
    ) -> Self:
        """At most so many customers, drawn with the seed. Raises `UserError` if no customer has a history."""
        counted = np.zeros(history.shape[0], dtype=bool)
        counted[part.customers] = True
        counted &= np.diff(history.indptr) > 0
        customers = np.flatnonzero(counted)
        if not len(customers):
            raise UserError("vbpr: expected validation purchases of customers with a history, found none")
        if len(customers) > most:
            counted[np.random.default_rng(seed).permutation(customers)[most:]] = False
        found = relevant(part.customers, part.articles, counted)
        return cls(found, history[found.customers], candidates)

    def ndcg(self, customers: Floats, articles: Floats) -> float:
        """The mean nDCG@12 of the lists by products of the customers' rows (m, r) and all articles' (I, r)."""
        k = min(K, len(articles))
        lists = [
            best_candidates(customers[part], articles, k, self.seen[part], self.candidates).ids
            for part in (slice(start, start + _BATCH) for start in range(0, len(customers), _BATCH))
        ]
        return float(ranking_values(np.concatenate(lists), self.relevant, [k])[f"nDCG@{k}"].mean())
