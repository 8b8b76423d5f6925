"""Which imputation helps, told by hiding descriptions that are known.

The articles that really lack a description are too few to tell (404 of H&M's 105,100), and nobody knows what theirs
would have been. So a share of the known descriptions is hidden, each method fills them in, and what is then recommended
is compared with mean imputation on the same customers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.ranking.estimates import Difference, Estimate, differences, estimates
from recommend.ranking.hits import Hits, Lists, hits
from recommend.ranking.relevant import Places, Relevant
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.missing.held_out import HeldOut
from recommend.recommenders.missing.imputation import METHODS, Method, impute, without_unknown

Mask = NDArray[np.bool_]
Fit = Callable[[Purchases, ItemFeatures], Recommender]
SHARES = (0.2, 0.5)
KNOWN = "nothing hidden"
REFERENCE: Method = "mean"
OF_ALL, OF_HIDDEN = "all", "hidden"


@dataclass(frozen=True)
class MaskedRow:
    """One recommender on features with one method of imputation.

    Attributes:
        model: the recommender.
        share: of the descriptions that is hidden.
        hidden: how many articles that is.
        method: of imputation; `nothing hidden` is the recommender with all descriptions.
        articles: which purchases of the test part are to be found: `all`, or those of `hidden` articles.
        ndcg: mean nDCG@k.
        gain: how much more than by mean imputation, paired; None for that itself.
        by_mean: articles that the method had to give the mean.
    """

    model: str
    share: float
    hidden: int
    method: str
    articles: str
    ndcg: Estimate
    gain: Difference | None
    by_mean: int


@dataclass(frozen=True)
class MaskingStudy:
    """The result of `masking_study`.

    Attributes:
        k: length of the lists.
        rows: by recommender, share, method and articles.
        sentences: of each recommender, whether captions beat mean imputation.
        notes: what the captions are of, and what the intervals do not cover.
    """

    k: int
    rows: Sequence[MaskedRow]
    sentences: Sequence[str]
    notes: Sequence[str]


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

    Raises:
        UserError: a share is none, captions of too few articles may stand in, or as `impute`.
    """
    order = _order(features, captions, seed)
    hidden = {share: _hidden(order, captions.groups, features, share) for share in sorted(shares)}
    setting = _Setting(train, relevant, k, captions.features, seed)
    used: list[Method] = [REFERENCE, *(method for method in methods if method != REFERENCE)]
    rows: list[MaskedRow] = []
    for model, fit in models.items():
        whole = setting.lists(fit(train, features))
        for share, mask in hidden.items():
            rows += setting.compare(model, fit, share, features, mask, used, whole)
    return MaskingStudy(k, rows, [_sentence(model, rows, k) for model in models], _notes(captions, hidden))


@dataclass(frozen=True)
class _Setting:
    train: Purchases
    relevant: Relevant
    k: int
    captions: ItemFeatures
    seed: int

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
        made: dict[str, tuple[Lists, int]] = {method: self._filled(fit, masked, method) for method in methods}
        reference = self._hits(made[REFERENCE][0], hidden)
        name = f"nDCG@{self.k}"
        for method, (lists, by_mean) in (made | {KNOWN: (whole, 0)}).items():
            for articles, found in self._hits(lists, hidden).items():
                ndcg = estimates(found, [self.k])[name]
                gain = None if method == REFERENCE else differences(found, reference[articles], [self.k])[name]
                yield MaskedRow(model, share, int(hidden.sum()), method, articles, ndcg, gain, by_mean)

    def lists(self, fitted: Recommender) -> Lists:
        return fitted.recommend(self.relevant.customers, self.k).ids

    def _filled(self, fit: Fit, masked: ItemFeatures, method: Method) -> tuple[Lists, int]:
        imputed = impute(masked, method, self.train.matrix, self.captions, self.seed)
        train = without_unknown(self.train, masked) if method == "drop" else self.train
        return self.lists(fit(train, imputed.features)), imputed.by_mean

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


def _sentence(model: str, rows: Sequence[MaskedRow], k: int) -> str:
    """Whether captions beat mean imputation, by the intervals, on the hidden articles and on all."""
    parts = []
    for articles in (OF_HIDDEN, OF_ALL):
        gains = {
            row.share: row.gain
            for row in rows
            if (row.model, row.method) == (model, "captions") and row.articles == articles and row.gain
        }
        if not gains:
            return f"{model}: captions were not compared with mean imputation."
        shown = (
            f"{share:.0%} hidden: {one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]" for share, one in gains.items()
        )
        verdict = _verdict(list(gains.values()))
        parts.append(f"for purchases of {articles} articles {verdict} (nDCG@{k}, {'; '.join(shown)})")
    return f"{model}: {', '.join(parts)}."


def _verdict(gains: Sequence[Difference]) -> str:
    if all(gain.low > 0 for gain in gains):
        return "captions beat mean imputation"
    if all(gain.high < 0 for gain in gains):
        return "mean imputation beats captions"
    if any(gain.low > 0 or gain.high < 0 for gain in gains):
        return "captions differ from mean imputation at some shares alone"
    return "no effect of captions over mean imputation was found"


def _notes(captions: HeldOut, hidden: Mapping[float, Mask]) -> list[str]:
    counts = ", ".join(f"{mask.sum():,} ({share:.0%})" for share, mask in hidden.items())
    return [
        *captions.notes,
        f"hidden: {counts} articles, whole products and equal descriptions together, drawn once",
        "intervals are over customers; they do not cover what another draw of hidden articles would give",
    ]
