"""Which imputation helps, judged by hiding descriptions that are known.

The articles that really lack a description are too few to tell (404 of H&M's 105,100), and nobody knows what theirs
would have been. So a share of the known descriptions is hidden, each method fills them in, and what is then recommended
is compared with mean imputation, and with the neighbours' mean, on the same customers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.ranking.estimates import differences, estimates
from recommend.ranking.hits import Hits, Lists, hits
from recommend.ranking.relevant import Places, Relevant
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.missing.held_out import HeldOut
from recommend.recommenders.missing.imputation import METHODS, Method, impute, without_unknown
from recommend.recommenders.missing.result import KNOWN, OF_ALL, OF_HIDDEN, MaskedRow, MaskingStudy, sentence

Mask = NDArray[np.bool_]
Fit = Callable[[Purchases, ItemFeatures, Path | None], Recommender]
"""Given the training part, features, and where a training that takes long may keep what it has learned so far."""
Made = tuple[Lists, int]
"""The lists of a recommender, and how many articles its features gave the mean."""
Keep = Callable[[str, Callable[[Path | None], Made]], Made]
"""Given the name of a fit and what makes it, given a folder as in `Fit`, that fit: made now, or kept from earlier."""
SHARES = (0.2, 0.5)
REFERENCE: Method = "mean"
REFERENCES: tuple[Method, Method] = (REFERENCE, "neighbours")


def made_anew(name: str, make: Callable[[Path | None], Made]) -> Made:  # a `Keep`
    """Keeps nothing."""
    return make(None)


def masking_study(
    train: Purchases,
    relevant: Relevant,
    features: ItemFeatures,
    captions: HeldOut,
    models: Mapping[str, Fit],
    shares: Sequence[float] = SHARES,
    methods: Sequence[Method] = METHODS,
    k: int = 12,
    seed: int = 42,
    keep: Keep = made_anew,
) -> MaskingStudy:
    """Hide shares of the known features, fill them in by each method, fit each recommender and compare.

    Args:
        train: the training part, of I candidates.
        relevant: what the customers who are measured bought in the test part.
        features: of descriptions, (I, d).
        captions: what stands in for those that are hidden.
        models: by name, what fits a recommender.
        shares: of the known features; what the smaller share hides, the larger hides too.
        methods: of imputation; mean is always among them.
        k: length of the lists.
        seed: of what is hidden, and of random features.
        keep: where fits are kept, so that an interrupted study resumes.

    Raises:
        UserError: a share is none, captions of too few articles may stand in, or as `impute`.
    """
    order = _order(features, captions, seed)
    hidden = {share: _hidden(order, captions.groups, features, share) for share in sorted(shares)}
    setting = _Setting(train, relevant, k, captions.features, seed, keep)
    used: list[Method] = [REFERENCE, *(method for method in methods if method != REFERENCE)]
    rows: list[MaskedRow] = []
    for model, fit in models.items():
        whole = setting.whole(model, fit, features)
        for share, mask in hidden.items():
            rows += setting.compare(model, fit, share, features, mask, used, whole)
    return MaskingStudy(k, rows, [sentence(model, rows, k) for model in models], _notes(captions, hidden))


@dataclass(frozen=True)
class _Setting:
    train: Purchases
    relevant: Relevant
    k: int
    captions: ItemFeatures
    seed: int
    keep: Keep

    def compare(
        self,
        model: str,
        fit: Fit,
        share: float,
        features: ItemFeatures,
        hidden: Mask,
        methods: Sequence[Method],
        whole: Lists,
    ) -> Iterator[MaskedRow]:
        """Every method, and at last the lists `whole` of the model from which nothing is hidden."""
        rows = features.rows.copy()
        rows[hidden] = 0
        masked = replace(features, rows=rows, known=features.known & ~hidden)
        made: dict[str, Made] = {}
        for method in methods:
            make = partial(self._filled, fit, masked, method)
            made[method] = self.keep(f"{model}, {100 * share:g}% hidden, {method}", make)
        references = {name: self._hits(made[name][0], hidden) for name in REFERENCES if name in made}
        name = f"nDCG@{self.k}"
        for filling, (lists, by_mean) in (made | {KNOWN: (whole, 0)}).items():
            for articles, found in self._hits(lists, hidden).items():
                ndcg = estimates(found, [self.k])[name]
                gains = [
                    differences(found, references[other][articles], [self.k])[name]
                    if other in references and filling != other
                    else None
                    for other in REFERENCES
                ]
                yield MaskedRow(model, share, int(hidden.sum()), filling, articles, ndcg, gains[0], gains[1], by_mean)

    def whole(self, model: str, fit: Fit, features: ItemFeatures) -> Lists:
        """The lists of the model from which nothing is hidden."""
        return self.keep(f"{model}, {KNOWN}", lambda folder: (self._lists(fit(self.train, features, folder)), 0))[0]

    def _lists(self, fitted: Recommender) -> Lists:
        return fitted.recommend(self.relevant.customers, self.k).ids

    def _filled(self, fit: Fit, masked: ItemFeatures, method: Method, folder: Path | None) -> Made:
        imputed = impute(masked, method, self.train.matrix, self.captions, self.seed)
        train = without_unknown(self.train, masked) if method == "drop" else self.train
        return self._lists(fit(train, imputed.features, folder)), imputed.by_mean

    def _hits(self, lists: Lists, hidden: Mask) -> dict[str, Hits]:
        only = self.relevant.only(hidden)
        if not len(only.customers):
            raise UserError("masking: expected test purchases of hidden articles, found none; hide a larger share")
        rows = np.searchsorted(self.relevant.customers, only.customers)
        return {OF_ALL: hits(lists, self.relevant), OF_HIDDEN: hits(lists[rows], only)}


def _order(features: ItemFeatures, captions: HeldOut, seed: int) -> Places:
    """The articles that may be hidden, whole groups in an order drawn with the seed.

    A group with a description for which no caption may stand in is not hidden at all: it would tell of the others.
    """
    allowed = features.known & captions.features.known
    allowed &= ~np.isin(captions.groups, captions.groups[features.known & ~allowed])
    _, numbers = np.unique(captions.groups, return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(int(numbers.max()) + 1)
    places = np.flatnonzero(allowed)
    return places[np.argsort(drawn[numbers[places]], kind="stable")]


def _hidden(order: Places, groups: Places, features: ItemFeatures, share: float) -> Mask:
    """Which articles (I,) are hidden: the first of `order`, to the end of a group."""
    known = int(features.known.sum())
    count = round(share * known)
    if not 0 < share < 1 or not count:
        raise UserError(f"masking: expected shares between 0 and 1 that hide an article, found {share} of {known:,}")
    if count > len(order):
        raise UserError(
            f"masking: to hide {share:.0%} of {known:,} descriptions, expected captions of {count:,} articles that the "
            f"model has seen nothing of, found {len(order):,}; train it on less, such as data.split.train=0.4 "
            "data.split.validation=0.05, and caption the test split"
        )
    while count < len(order) and groups[order[count]] == groups[order[count - 1]]:
        count += 1
    mask = np.zeros(len(groups), dtype=bool)
    mask[order[:count]] = True
    return mask


def _notes(captions: HeldOut, hidden: Mapping[float, Mask]) -> list[str]:
    counts = ", ".join(f"{mask.sum():,} ({share:.0%})" for share, mask in hidden.items())
    return [
        *captions.notes,
        f"hidden: {counts} articles, whole products and equal descriptions together, drawn once",
        "intervals are over customers; they do not cover what another draw of hidden articles would give",
    ]
