"""Purchases as arrays of integers, and what a split makes of them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

NOT_A_CANDIDATE = -1
"""An article of this number or below is none that a recommender can name; `Split.restricted` makes such numbers."""


@dataclass(frozen=True)
class Purchases:
    """n purchases, in the order of the file, by U customers of I articles.

    Customers and articles are places: a customer's among all customers sorted by id, an article's in `article_ids`.
    """

    customers: NDArray[np.int32]
    """(n,)"""
    articles: NDArray[np.int32]
    """(n,)"""
    days: NDArray[np.int32]
    """(n,) days since 1970-01-01."""
    customer_count: int
    article_ids: list[str]
    """(I,) sorted; texts, with their zeros."""

    def __len__(self) -> int:
        return len(self.customers)

    def taken(self, keep: NDArray[np.bool_]) -> "Purchases":
        """The purchases that `keep` (n,) names, with the same customers and articles."""
        return replace(self, customers=self.customers[keep], articles=self.articles[keep], days=self.days[keep])

    @cached_property
    def matrix(self) -> scipy.sparse.csr_matrix:
        """(U, I) float32, 1 where a customer bought an article, however often; columns sorted in each row."""
        known = self.articles > NOT_A_CANDIDATE
        places = (self.customers[known], self.articles[known])
        shape = (self.customer_count, len(self.article_ids))
        bought = scipy.sparse.csr_matrix((np.ones(len(places[0]), dtype=np.float32), places), shape=shape)
        bought.data[:] = 1  # duplicates have been added up
        return bought


@dataclass(frozen=True)
class Split:
    """Parts of the same purchases: all number the same customers and the same articles alike."""

    train: Purchases
    validation: Purchases | None
    test: Purchases

    def restricted(self) -> "Split":
        """The same with only the articles bought in training as candidates, as the paper's protocol has it.

        A purchase of another article stays in its part: article p becomes -1 - p, `NOT_A_CANDIDATE` or below, since
        each of them counts in the ideal list.
        """
        before = np.arange(len(self.train.article_ids))
        bought = np.bincount(self.train.articles, minlength=len(before)) > 0
        places = np.where(bought, np.cumsum(bought) - 1, NOT_A_CANDIDATE - before).astype(np.int32)
        ids = [self.train.article_ids[place] for place in np.flatnonzero(bought)]

        def renumbered(part: Purchases) -> Purchases:
            return replace(part, articles=places[part.articles], article_ids=ids)

        validation = None if self.validation is None else renumbered(self.validation)
        return Split(renumbered(self.train), validation, renumbered(self.test))
