"""VBPR, and BPR without features, as recommenders."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import Customers, Floats, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.products import best_candidates
from recommend.recommenders.vbpr.settings import PaperSettings, RecommendedSettings, VBPRSettings
from recommend.recommenders.vbpr.validation import Validation


@dataclass
class VBPR(VBPRSettings, Recommender):
    """Visual Bayesian Personalized Ranking, with the defaults of Ducho meets Elliot.

    An article that nobody bought in training has no factors of its own and is ranked by its features alone; without
    features either it is in no list. A bought article without features is given the mean of the others. A customer
    without purchases gets the articles of the largest biases, or an empty list if there are no biases.

    Attributes:
        customers: (U, r) and
        articles: (I, r) rows whose dot product is the score.
        candidates: (I,) articles that are ranked.
        epochs_trained: what each epoch came to, after `fit`.
    """

    name: ClassVar[str] = "vbpr"
    needs_features: ClassVar[bool] = True
    batch: ClassVar[int] = 1024
    learned: ClassVar[tuple[str, ...]] = ("customers", "articles", "candidates")

    def fit(
        self,
        interactions: Purchases,
        features: ItemFeatures | None = None,
        validation: Purchases | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Learn from the training part.

        Args:
            interactions: the training part.
            features: of its articles.
            validation: purchases that the number of epochs is chosen on; None: all epochs are trained.
            checkpoint: a folder where the training is kept and, after an interruption, continued to the same result;
                `save` removes it again.

        Raises:
            UserError: nothing can be learnt from the purchases or the features, or the folder holds another training.
        """
        self._validation, self._checkpoint = validation, checkpoint
        super().fit(interactions, features)

    def save(self, folder: Path) -> None:
        """As of any recommender; the checkpoint of its training, which has done its work, is removed."""
        super().save(folder)
        checkpoint = getattr(self, "_checkpoint", None)  # None after `load`
        if checkpoint is not None:
            from recommend.recommenders.vbpr.checkpoint import FILE  # noqa: PLC0415  # PyTorch

            (checkpoint / FILE).unlink(missing_ok=True)

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        from recommend.recommenders.vbpr.run import train  # noqa: PLC0415  # PyTorch

        used = features if self.needs_features else None
        self.candidates = np.bincount(self.history.indices, minlength=self.history.shape[1]) > 0
        if used is not None:
            self.candidates |= used.known
        validation = None
        if self._validation is not None:
            validation = Validation.of(self._validation, self.history, self.candidates, self.validated, self.seed)
        rows = None if used is None else standardised(used)
        self.customers, self.articles, self.epochs_trained = train(
            self, self.history, rows, validation, self._checkpoint
        )

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        seen = self.history[customers] if exclude_seen else None
        return best_candidates(self.customers[customers], self.articles, k, seen, self.candidates)


@dataclass
class PaperVBPR(PaperSettings, VBPR):
    """The same with the defaults of He and McAuley."""

    name: ClassVar[str] = "vbpr-paper"


@dataclass
class RecommendedVBPR(RecommendedSettings, VBPR):
    """The same with settings that we recommend."""

    name: ClassVar[str] = "vbpr-recommended"


@dataclass
class BPRMF(VBPR):
    """The same without features, which is BPR matrix factorisation (Rendle et al., 2009), to compare VBPR with."""

    name: ClassVar[str] = "bpr-mf"
    needs_features: ClassVar[bool] = False


def standardised(features: ItemFeatures) -> Floats:
    """The features less the mean of those known, divided by the root mean square of their lengths; zero if not known.

    W and b could undo that. It makes one learning rate fit the features of any encoder.
    Raises `UserError` if no two known articles differ.
    """
    count = int(features.known.sum())
    mean = features.rows.sum(axis=0, dtype=np.float64, where=features.known[:, None]) / max(count, 1)
    rows: Floats = features.rows - mean.astype(np.float32)
    rows[~features.known] = 0
    length = np.sqrt(float(np.einsum("ij,ij->", rows, rows, dtype=np.float64)) / max(count, 1))
    if not length > 1e-6 * np.linalg.norm(mean):
        raise UserError(
            f"features {features.name}: expected articles that differ, found {count:,} with the same vector; check the "
            "store"
        )
    rows /= np.float32(length)
    return rows
