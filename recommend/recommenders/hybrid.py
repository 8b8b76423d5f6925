"""A recommender of what is bought, and content for what nobody has bought yet, in one list."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import PAD, Customers, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.content import Content
from recommend.recommenders.factors import ALS, BPR
from recommend.recommenders.files import Arrays
from recommend.recommenders.knn import ItemKNN, UserKNN
from recommend.recommenders.popular import MostPopular
from recommend.recommenders.vbpr.model import BPRMF, VBPR, PaperVBPR, RecommendedVBPR

_WARM: tuple[type[Recommender], ...] = (
    ItemKNN,
    UserKNN,
    MostPopular,
    ALS,
    BPR,
    BPRMF,
    VBPR,
    PaperVBPR,
    RecommendedVBPR,
)
WARM = {one.name: one for one in _WARM}


@dataclass
class Hybrid(Recommender):
    """Gives a share of each list's places to cold articles, which content ranks, and the others to a recommender.

    With a share of 1/4 every fourth place is a cold article's. Where one of the two has no more articles, the other
    fills the list. A score is one over the place in the list.

    Attributes:
        warm: the recommender of articles bought in training.
        settings_of_warm: its settings.
        share: of the places for cold articles, between 0 and 1.
        seed: of `warm`, if that draws anything.
    """

    name: ClassVar[str] = "hybrid"
    needs_features: ClassVar[bool] = True
    batch: ClassVar[int] = 1024
    warm: str = ItemKNN.name
    settings_of_warm: dict[str, Any] = field(default_factory=dict)
    share: float = 0.25
    seed: int = 42

    def __post_init__(self) -> None:
        if self.warm not in WARM:
            raise UserError(f"hybrid: warm: expected one of {', '.join(WARM)}, found {self.warm}")
        if not 0 < self.share < 1:
            raise UserError(f"hybrid: share: expected a number between 0 and 1, found {self.share}")
        kind = WARM[self.warm]
        drawn = {"seed": self.seed} if "seed" in {one.name for one in fields(kind)} else {}  # type: ignore[arg-type]
        try:
            self._warm, self._content = kind(**{**drawn, **self.settings_of_warm}), Content()
        except TypeError as error:
            raise UserError(f"hybrid: settings_of_warm: {self.warm} does not have them ({error})") from error

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        self._warm.fit(interactions, features)
        self._content.fit(interactions, features)

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        cold = np.bincount(self.history.indices, minlength=self.history.shape[1]) == 0
        first = self._warm.recommend(customers, k, exclude_seen).ids
        second = self._content.among(customers, k, exclude_seen, cold).ids
        first = np.where((first != PAD) & ~cold[first], first, PAD)
        return _merged(first, second, self.share)

    def _arrays(self) -> Arrays:
        return {
            f"{name}.{key}": values
            for name, one in (("warm", self._warm), ("content", self._content))
            for key, values in one._arrays().items()
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for name, one in (("warm.", self._warm), ("content.", self._content)):
            one.history = self.history
            one._restore({key.removeprefix(name): values for key, values in arrays.items() if key.startswith(name)})


def _merged(warm: NDArray[np.int32], cold: NDArray[np.int32], share: float) -> Recommendations:
    """Lists (m, k) of two kinds in one, each article due at its rank over its kind's share of the places."""
    ranks = np.arange(1, warm.shape[1] + 1)
    both = np.hstack([warm, cold])
    due = np.where(both == PAD, np.inf, np.concatenate([ranks / (1 - share), ranks / share]))
    order = np.argsort(due, axis=1, kind="stable")[:, : warm.shape[1]]
    ids = np.take_along_axis(both, order, axis=1)
    return Recommendations(ids, np.where(ids == PAD, -np.inf, 1 / ranks).astype(np.float32))
