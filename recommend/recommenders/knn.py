"""Neighbourhood recommenders: articles like those bought, and what similar customers bought."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse

from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import Customers, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.files import Arrays, matrix_arrays, matrix_from
from recommend.recommenders.implicit_models import most_similar
from recommend.recommenders.selection import best_stored


@dataclass
class ItemKNN(Recommender):
    """The articles whose most similar articles the customer has bought (Linden, Smith and York, 2003).

    Target-wise, as in Elliot: each article keeps the `neighbours` with the highest cosine of their buyers, itself one
    of them, and its score is the sum over those of them that the customer bought. Only scores above 0 are listed.

    Attributes:
        weights: (I, I) the similarity of each bought article (row) to each article that keeps it (column).
    """

    neighbours: int = 20
    name: ClassVar[str] = "item-knn"

    def __post_init__(self) -> None:
        self.check_counts("neighbours")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        self.weights = most_similar(self.history, self.neighbours).T.tocsr()
        self._hide_seen()

    def _hide_seen(self) -> None:
        """Make the weights that give what a customer has bought a score of -inf."""
        self._unseen = self.weights + scipy.sparse.diags_array(np.full(self.weights.shape[0], -np.inf), format="csr")

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        return best_stored(self.history[customers] @ (self._unseen if exclude_seen else self.weights), k)

    def _arrays(self) -> Arrays:
        return matrix_arrays("weights", self.weights)

    def _restore(self, arrays: Arrays) -> None:
        self.weights = matrix_from("weights", arrays)
        self._hide_seen()


@dataclass
class UserKNN(Recommender):
    """What the most similar other customers have bought (Resnick et al., 1994, GroupLens).

    Each customer keeps the `neighbours` others with the highest cosine of their articles; an article's score is the sum
    of the similarities of those who bought it. Only scores above 0 are listed.

    With `elliot_compat` it is what Elliot computes: a customer is one of its own neighbours, and the matrix of
    neighbours is multiplied as it stands, not transposed, so that what counts is who keeps the customer.

    Attributes:
        weights: (U, U) the similarity of the customers (columns) that count for each customer (row).
    """

    neighbours: int = 10
    elliot_compat: bool = False
    name: ClassVar[str] = "user-knn"

    def __post_init__(self) -> None:
        self.check_counts("neighbours")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        if self.elliot_compat:
            self.weights = _neighbours(self.history, self.neighbours).T.tocsr()
        else:
            self.weights = _others(_neighbours(self.history, self.neighbours + 1), self.neighbours)
        self._widen()

    def _widen(self) -> None:
        """Keep the history as float64, which a product of other floats would make it for every batch."""
        parts = (self.history.data.astype(np.float64), self.history.indices, self.history.indptr)
        self._bought = scipy.sparse.csr_matrix(parts, shape=self.history.shape)

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        weights = self.weights[customers]
        if exclude_seen:
            starts = np.arange(len(customers) + 1)
            weights = weights + scipy.sparse.csr_matrix(
                (np.full(len(customers), -np.inf), customers, starts), shape=weights.shape
            )
        return best_stored(weights @ self._bought, k)

    def _arrays(self) -> Arrays:
        return matrix_arrays("weights", self.weights)

    def _restore(self, arrays: Arrays) -> None:
        self.weights = matrix_from("weights", arrays)
        self._widen()


def _neighbours(history: scipy.sparse.csr_matrix, k: int) -> scipy.sparse.csr_matrix:
    """The k customers most similar to each (U, U), itself among them.

    They are compared in the order of their activity: what is added to most then lies together in the cache, and takes a
    quarter less time.
    """
    order = np.argsort(-np.diff(history.indptr), kind="stable")
    similarity = most_similar(history[order].T.tocsr(), k)
    similarity.indices = order[similarity.indices].astype(similarity.indices.dtype)
    similarity.has_sorted_indices = False
    return similarity[np.argsort(order)]


def _others(similarity: scipy.sparse.csr_matrix, k: int) -> scipy.sparse.csr_matrix:
    """Each row's neighbours (U, U) without itself, at most k: one that k + 1 others equal is not among its own."""
    similarity.sort_indices()
    rows = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
    kept = similarity.indices != rows
    ranks = np.append(0, kept.cumsum())
    kept &= ranks[1:] - ranks[similarity.indptr[rows]] <= k
    places = (rows[kept], similarity.indices[kept])
    return scipy.sparse.csr_matrix((similarity.data[kept], places), shape=similarity.shape)
