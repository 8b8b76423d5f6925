"""Matrix factorisation by `implicit`: a vector for each customer and article, whose dot product is the score."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import PAD, Customers, Floats, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.implicit_models import check_installed, fitted
from recommend.recommenders.selection import best_products


class _Factors(Recommender):
    """Vectors of customers (U, d) and articles (I, d); those of an article that nobody bought are zero."""

    learned: ClassVar[tuple[str, ...]] = ("customer_factors", "article_factors")
    customer_factors: Floats
    article_factors: Floats

    def _keep(self, model: Any) -> None:
        self.customer_factors, self.article_factors = model.user_factors, model.item_factors

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        seen = self.history[customers] if exclude_seen else None
        found = best_products(self.customer_factors[customers], self.article_factors, k, seen)
        unknown = ~self.customer_factors[customers].any(axis=1)
        found.ids[unknown], found.scores[unknown] = PAD, -np.inf
        return found


@dataclass
class ALS(_Factors):
    """Weighted matrix factorisation by alternating least squares (Hu, Koren and Volinsky, 2008).

    A customer without a history gets an empty list. Threads share out whole rows, so that their number changes
    nothing; another processor's BLAS may change last bits.
    """

    factors: int = 64
    regularization: float = 0.01
    alpha: float = 1.0
    iterations: int = 15
    seed: int = 42
    name: ClassVar[str] = "als"

    def __post_init__(self) -> None:
        self.check_counts("factors", "iterations")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        check_installed()
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415

        self._keep(
            fitted(
                AlternatingLeastSquares,
                self.history,
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=self.seed,
            )
        )


@dataclass
class BPR(_Factors):
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al., 2009), with a bias of each article.

    A customer without a history gets the articles by bias. On one thread the same seed gives the same numbers; more
    are faster, and write to the same vectors without a lock, so that no two runs agree to the last bit.
    """

    factors: int = 64
    learning_rate: float = 0.01
    regularization: float = 0.01
    iterations: int = 100
    seed: int = 42
    threads: int = 1
    name: ClassVar[str] = "bpr"

    def __post_init__(self) -> None:
        self.check_counts("factors", "iterations", "threads")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        check_installed()
        from implicit.cpu.bpr import BayesianPersonalizedRanking  # noqa: PLC0415

        self._keep(
            fitted(
                BayesianPersonalizedRanking,
                self.history,
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                random_state=self.seed,
                num_threads=self.threads,
            )
        )
