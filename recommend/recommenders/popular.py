"""Recommenders that learn next to nothing: at random, what sells, what a customer bought before."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import PAD, Customers, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.files import Arrays, matrix_arrays, matrix_from
from recommend.recommenders.selection import best_stored, first_open


@dataclass
class Random(Recommender):
    """Articles in an order of each customer's own.

    Article (a j + b) mod p is at place j, for a prime p of at least I and numbers a and b drawn for each customer
    (Carter and Wegman, 1979), places without an article left out. If I is prime, any two places are equally likely to
    have any two articles, else nearly; and no order is stored.
    """

    seed: int = 42
    name: ClassVar[str] = "random"
    learned: ClassVar[tuple[str, ...]] = ("steps", "starts")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        draw = np.random.default_rng(self.seed)
        prime = _prime_from(len(interactions.article_ids))
        self.steps = draw.integers(1, prime, interactions.customer_count)
        self.starts = draw.integers(prime, size=interactions.customer_count)

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        articles = self.history.shape[1]
        prime = _prime_from(articles)
        rows, columns = self.history[customers].nonzero()
        seen = rows.astype(np.int64) * prime + columns if exclude_seen else np.empty(0, np.int64)

        def order(length: int) -> NDArray[np.int64]:
            drawn = self.steps[customers, None] * np.arange(length) + self.starts[customers, None]
            return np.asarray(drawn % prime, dtype=np.int64)

        def hidden(length: int) -> NDArray[np.bool_]:
            drawn = order(length)
            marks = np.isin(drawn + prime * np.arange(len(drawn))[:, None], seen)
            marks |= drawn >= articles
            return marks

        places = first_open(hidden, k, prime)
        ids = np.take_along_axis(order(max(int(places.max()), 0) + 1), np.maximum(places, 0), axis=1)
        return _listed(places, ids, 1 - places / prime)


@dataclass
class MostPopular(Recommender):
    """The articles that most customers bought in training, or in its last `days` days."""

    days: int | None = None
    name: ClassVar[str] = "most-popular"
    learned: ClassVar[tuple[str, ...]] = ("buyers",)

    def __post_init__(self) -> None:
        if self.days is not None:
            self.check_counts("days")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        if self.days is not None:
            interactions = interactions.taken(interactions.days > interactions.days.max() - self.days)
        self.buyers = np.bincount(interactions.matrix.indices, minlength=self.history.shape[1])

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        order = np.argsort(-self.buyers, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        seen = self.history[customers]
        rows, ranks = np.repeat(np.arange(len(customers)), np.diff(seen.indptr)), rank[seen.indices]

        def hidden(length: int) -> NDArray[np.bool_]:
            marks = np.zeros((len(customers), length), dtype=bool)
            inside = (ranks < length) & exclude_seen
            marks[rows[inside], ranks[inside]] = True
            return marks

        places = first_open(hidden, k, len(order))
        return _listed(places, order[places], self.buyers[order[places]])


@dataclass
class Repurchase(Recommender):
    """What the customer has bought, the latest first; the score is the day, 1 for the first of training."""

    name: ClassVar[str] = "repurchase"
    only_repeats: ClassVar[bool] = True

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        days = interactions.days - int(interactions.days.min()) + 1
        articles, length = self.history.shape[1], int(days.max()) + 1
        pairs = interactions.customers.astype(np.int64) * articles + interactions.articles
        pairs, days = np.divmod(np.sort(pairs * length + days), length)
        last = np.append(np.diff(pairs) != 0, True)
        places = np.divmod(pairs[last], articles)
        self.latest = scipy.sparse.csr_matrix((days[last].astype(np.float32), places), shape=self.history.shape)

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        bought = self.latest[customers]
        return best_stored(bought * 0 if exclude_seen else bought, k)

    def _arrays(self) -> Arrays:
        return matrix_arrays("latest", self.latest)

    def _restore(self, arrays: Arrays) -> None:
        self.latest = matrix_from("latest", arrays)


def _listed(places: NDArray[np.int64], ids: NDArray[np.int64], scores: NDArray[np.number]) -> Recommendations:
    there = places >= 0
    return Recommendations(
        np.where(there, ids, PAD).astype(np.int32), np.where(there, scores, -np.inf).astype(np.float32)
    )


def _prime_from(least: int) -> int:
    """The smallest prime that is at least `least`."""
    number = max(least, 2)
    while any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        number += 1
    return number
