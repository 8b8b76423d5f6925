"""Content-based recommenders: articles whose features are near to those of what a customer bought."""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import Customers, Floats, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.products import best_candidates

_SMALLEST = 1e-6  # of a centred vector, relative to the mean's length: below it only rounding is left


@dataclass
class Content(Recommender):
    """Scores an article by the mean of its cosines to the different articles that the customer bought.

    The sum would rank alike. The mean of all features is subtracted first. An article without features is in no list
    and counts in no mean; a customer who bought nothing with features gets an empty list.

    Attributes:
        units: (I, d) centred features of length one.
        known: (I,) which articles have features.
    """

    name: ClassVar[str] = "content"
    needs_features: ClassVar[bool] = True
    batch: ClassVar[int] = 1024
    learned: ClassVar[tuple[str, ...]] = ("units", "known")

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        given = cast(ItemFeatures, features)  # `fit` refuses None
        self.units, self.known = unit_rows(given), given.known

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        return self.among(customers, k, exclude_seen, self.known)

    def among(self, customers: Customers, k: int, exclude_seen: bool, candidates: NDArray[np.bool_]) -> Recommendations:
        """The k best of the `candidates` (I,) for at most `batch` customers."""
        bought = self.history[customers]
        counted = bought @ self.known.astype(np.float32)
        profiles: Floats = (bought @ self.units) / np.maximum(counted, 1)[:, None]
        return best_candidates(profiles, self.units, k, bought if exclude_seen else None, candidates & self.known)


def unit_rows(features: ItemFeatures) -> Floats:
    """The features less the mean of those known, with length one; zero if not known, or equal to the mean."""
    count = max(int(features.known.sum()), 1)
    mean = (features.rows.sum(axis=0, dtype=np.float64, where=features.known[:, None]) / count).astype(np.float32)
    units: Floats = features.rows - mean
    lengths = np.linalg.norm(units, axis=1)
    without = ~features.known | (lengths <= _SMALLEST * np.linalg.norm(mean))
    units[without] = 0
    units /= np.where(without, 1, lengths).astype(np.float32)[:, None]
    return units
