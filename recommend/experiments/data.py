"""The data sets of a recipe: purchases divided, what may be recommended, what is relevant."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.experiments.recipe import Dataset
from recommend.interactions.interactions import Purchases, Split
from recommend.interactions.purchases import PurchasesFolder
from recommend.interactions.splits import SplitFacts, split, split_facts
from recommend.ranking.relevant import Relevant, relevant
from recommend.ranking.slices import by_activity

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """What is learnt from and what is to be found: training and test, or training without validation and that.

    Attributes:
        train: its articles are the candidates.
        later: the purchases after it, those of articles that are no candidates among them.
        relevant: the distinct articles of these, of the customers that are measured.
    """

    train: Purchases
    later: Purchases
    relevant: Relevant

    @property
    def cold(self) -> Mask:
        """(I,) which candidates nobody bought in training."""
        buyers = np.bincount(self.train.articles, minlength=len(self.train.article_ids))
        return np.asarray(buyers == 0)

    @cached_property
    def history(self) -> NDArray[np.int64]:
        """(m,) how many distinct articles each measured customer bought in training."""
        bought = np.diff(self.train.matrix.indptr).astype(np.int64)
        return np.asarray(bought[self.relevant.customers])

    @property
    def by_activity(self) -> dict[str, Mask]:
        """Which of the measured customers bought how much in training."""
        return by_activity(self.history)


@dataclass(frozen=True)
class OpenDataset:
    """A data set of the recipe, read.

    Attributes:
        section: what the recipe says of it.
        purchases: all of its setting.
        facts: of training and test.
        test: what is measured.
    """

    section: Dataset
    purchases: Purchases
    facts: SplitFacts
    test: Part

    @property
    def account(self) -> dict[str, float]:
        """The facts, and how many articles anybody bought and how many are candidates, for JSON."""
        articles = {"bought": len(np.unique(self.purchases.articles)), "candidates": len(self.test.train.article_ids)}
        return self.facts.as_dict() | articles

    def validation(self, k: int) -> Part:
        """Training without its end, and that end, cut by the same rule; the test part is no part of it.

        Raises `UserError` if no list of `k` candidates can be made.
        """
        parts = split(self.purchases, self.section.split, validation=True)
        if parts.validation is None:
            raise ValueError("a split with a validation part has one")
        return _with_candidates(k, _part(self.section, Split(parts.train, None, parts.validation)), self.section)


def open_dataset(section: Dataset, k: int) -> OpenDataset:
    """Read and divide the purchases.

    Raises `UserError` if the folder is missing, nothing is left to measure, or no list of `k` candidates can be made.
    """
    purchases = PurchasesFolder.open(section.purchases).purchases(section.setting)
    parts = split(purchases, section.split)
    test = _part(section, parts)
    if not len(test.relevant.customers):
        raise UserError(
            f"datasets: {section.name}: no customer has purchases in both training and test; choose another split, or "
            "customers: all"
        )
    return OpenDataset(section, purchases, split_facts(parts), _with_candidates(k, test, section))


def _with_candidates(k: int, part: Part, section: Dataset) -> Part:
    candidates = len(part.train.article_ids)
    if k > candidates:
        raise UserError(f"ks: {k}: data set {section.name} has {candidates:,} candidates; measure shorter lists")
    return part


def _part(section: Dataset, parts: Split) -> Part:
    if section.candidates == "trained":
        parts = parts.restricted()
    history = np.bincount(parts.train.customers, minlength=parts.train.customer_count) > 0
    counted = history if section.customers == "with-history" else np.ones_like(history)
    return Part(parts.train, parts.test, relevant(parts.test.customers, parts.test.articles, counted))
