"""The contract of a recommender: fit on purchases, recommend to customers, save and load."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from finetune.data.readers import read_arrays
from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, write_text
from recommend.interactions.interactions import Purchases
from recommend.recommenders.files import Arrays, matrix_arrays, matrix_from, read_settings

Floats = NDArray[np.float32]
Customers = NDArray[np.int64]
PAD = -1
BATCH = 1024  # customers whose scores are held at once, few enough for a processor's cache


@dataclass(frozen=True, slots=True)
class Recommendations:
    """Lists of k articles for m customers, best first; equal scores in the order of the articles' places.

    Attributes:
        ids: (m, k) places of articles; `PAD` ends a list of fewer.
        scores: (m, k) falling; -inf at pads. Their unit is the recommender's own.
    """

    ids: NDArray[np.int32]
    scores: Floats

    @property
    def short(self) -> int:
        """How many lists have fewer than k articles."""
        return int((self.ids == PAD).any(axis=1).sum())


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """A vector for each of I articles, in the order of `article_ids`.

    Attributes:
        rows: (I, d); zero where `known` is False.
        known: (I,) whether the store has the article.
        name: of the store.

    Raises:
        UserError: a number in `rows` is not finite.
    """

    rows: Floats
    known: NDArray[np.bool_]
    name: str

    def __post_init__(self) -> None:
        finite = np.isfinite(self.rows).all(axis=1)
        if not finite.all():
            place = int(np.argmin(finite))
            raise UserError(
                f"features {self.name}: expected finite numbers, found NaN or infinity in {int((~finite).sum()):,} "
                f"articles, the first in row {place}; encode these again"
            )


class Recommender(ABC):
    """Ranks all articles for a customer. A subclass is a dataclass: its fields are its settings.

    The same settings, purchases and features give the same lists, whatever the customers that are asked for together.

    Attributes:
        name: how recipes and tables call it.
        needs_features: whether `fit` must be given features; a recommender that needs none ignores them.
        only_repeats: whether it names nothing but what a customer has bought: with `exclude_seen` all lists are empty.
        batch: how many customers are scored at once.
        learned: the attributes, arrays all, that `fit` sets beside `history`.
        history: (U, I) what each customer bought in training.
    """

    name: ClassVar[str]
    needs_features: ClassVar[bool] = False
    only_repeats: ClassVar[bool] = False
    batch: ClassVar[int] = BATCH
    learned: ClassVar[tuple[str, ...]] = ()
    history: scipy.sparse.csr_matrix

    def fit(self, interactions: Purchases, features: ItemFeatures | None = None) -> None:
        """Learn from the training part.

        Raises `UserError` if it is empty, if features are needed or do not fit, or if what is learned is not finite.
        """
        if not len(interactions):
            raise UserError(f"{self.name}: expected purchases to learn from, found none; check the split")
        self._check_features(features, len(interactions.article_ids))
        self.history = interactions.matrix
        self._fit(interactions, features)
        if not all(np.isfinite(array).all() for array in self._arrays().values()):
            raise UserError(
                f"{self.name}: expected finite numbers, has learned others; lower the learning rate, or raise the "
                "regularization"
            )

    def recommend(self, customers: Customers, k: int, exclude_seen: bool = True) -> Recommendations:
        """The k best articles for each customer (m,), those of `history` left out if `exclude_seen`.

        A customer without a history gets the list that the recommender has for everybody, or an empty one.

        Raises:
            UserError: there are fewer than k articles, or a customer's place is not among those of `fit`.
        """
        self._check_request(customers, k)
        ids = np.full((len(customers), k), PAD, dtype=np.int32)
        scores = np.full((len(customers), k), -np.inf, dtype=np.float32)
        for start in range(0, len(customers), self.batch):
            part = slice(start, start + self.batch)
            found = self._recommend(customers[part], k, exclude_seen)
            ids[part], scores[part] = found.ids, found.scores
        return Recommendations(ids, scores)

    def save(self, folder: Path) -> None:
        """Write all that `load` needs to a new folder. Raises `UserError` if it cannot be made or holds something."""
        with atomic_folder(folder) as draft:
            arrays = {**matrix_arrays("history", self.history), **self._arrays()}
            np.savez(draft / "arrays.npz", **arrays)  # type: ignore[arg-type]  # names of arrays, not its options
            write_text(draft / "recommender.json", json.dumps({"recommender": self.name, **self.settings()}, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote, which recommends the same. Raises `UserError` if it is missing, damaged or another's."""
        settings = read_settings(folder, cls.name)
        lacking = [field.name for field in fields(cls) if field.name not in settings]  # type: ignore[arg-type]
        if lacking:
            raise UserError(f"{folder}: settings {', '.join(lacking)} of {cls.name} are missing; fit it again")
        try:
            made = cls(**settings)
        except TypeError as error:
            raise UserError(f"{folder}: settings that {cls.name} does not have ({error}); fit it again") from error
        arrays = read_arrays(folder / "arrays.npz", "fit it again")
        try:
            made.history = matrix_from("history", arrays)
            made._restore(arrays)
            made.recommend(np.zeros(1, dtype=np.int64), 1)  # arrays that do not fit together are found here
        except (LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError) as error:
            raise UserError(f"{folder / 'arrays.npz'}: not what {cls.name} saves ({error}); fit it again") from error
        return made

    def check_counts(self, *names: str) -> None:
        """Raise `UserError` if one of these settings is not a whole number of 1 or more."""
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"{self.name}: {name}: expected a whole number from 1, found {value!r}; change it")

    def settings(self) -> dict[str, Any]:
        """The settings it was made with, as JSON has them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @abstractmethod
    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None: ...

    @abstractmethod
    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        """As `recommend`, for at most `batch` customers."""

    def _arrays(self) -> Arrays:
        """What it has learned, beside `history`."""
        return {name: getattr(self, name) for name in self.learned}

    def _restore(self, arrays: Arrays) -> None:
        """Take back what `_arrays` gave; raises `KeyError` or `ValueError` for anything else."""
        for name in self.learned:
            setattr(self, name, arrays[name])

    def _check_features(self, features: ItemFeatures | None, articles: int) -> None:
        if self.needs_features and features is None:
            raise UserError(f"{self.name}: expected features of the articles, found none; name a store")
        if features is not None and len(features.rows) != articles:
            raise UserError(
                f"features {features.name}: expected {articles:,} rows, one for each article, found "
                f"{len(features.rows):,}; order them by the articles of these purchases"
            )

    def _check_request(self, customers: Customers, k: int) -> None:
        count, articles = self.history.shape
        if not 1 <= k <= articles:
            raise UserError(f"k: expected 1 to {articles:,}, the candidates of {self.name}; found {k:,}")
        outside = customers[(customers < 0) | (customers >= count)]
        if len(outside):
            raise UserError(f"{self.name}: expected customers 0 to {count - 1:,}, found {outside[0]}; fit it on theirs")
