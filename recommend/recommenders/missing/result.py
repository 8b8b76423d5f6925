"""What a masking study finds, and the sentence that sums it up."""

from collections.abc import Sequence
from dataclasses import dataclass

from recommend.ranking.estimates import Difference, Estimate

KNOWN = "nothing hidden"
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


def sentence(model: str, rows: Sequence[MaskedRow], k: int) -> str:
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
    better, worse = [gain.low > 0 for gain in gains], [gain.high < 0 for gain in gains]
    if any(better) and any(worse):
        return "captions beat mean imputation at one share and lose at another"
    if any(better):
        return "captions beat mean imputation" + ("" if all(better) else " at some shares alone")
    if any(worse):
        return "mean imputation beats captions" + ("" if all(worse) else " at some shares alone")
    return "no effect of captions over mean imputation was found"
