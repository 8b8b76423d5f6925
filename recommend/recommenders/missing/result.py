"""What a masking study finds, and the sentence that sums it up."""

from collections.abc import Callable, Sequence
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
        over_neighbours: how much more than by the neighbours' mean; None for that itself, or if it was not made.
        by_mean: articles that the method had to give the mean.
    """

    model: str
    share: float
    hidden: int
    method: str
    articles: str
    ndcg: Estimate
    gain: Difference | None
    over_neighbours: Difference | None
    by_mean: int


@dataclass(frozen=True)
class MaskingStudy:
    """The result of `masking_study`.

    Attributes:
        k: length of the lists.
        rows: by recommender, share, method and articles.
        sentences: of each recommender, whether captions beat mean imputation, and the neighbours' mean.
        notes: what the captions are of, and what the intervals do not cover.
    """

    k: int
    rows: Sequence[MaskedRow]
    sentences: Sequence[str]
    notes: Sequence[str]


def sentence(model: str, rows: Sequence[MaskedRow], k: int) -> str:
    """Whether captions beat the mean and the neighbours' mean, by the intervals, on hidden articles and on all."""
    ours = [row for row in rows if row.model == model]
    over_mean = _compared(ours, "mean imputation", lambda row: row.gain, k)
    if not over_mean:
        return f"{model}: captions were not compared with mean imputation."
    found = [over_mean, _compared(ours, "imputation by neighbours", lambda row: row.over_neighbours, k)]
    text = f"{model}: {'; '.join(one for one in found if one)}."
    means = [row.ndcg.value for row in ours if (row.method, row.articles) == ("mean", OF_HIDDEN)]
    if means and not any(means):
        text += " The mean finds no purchase of a hidden article by this model: whatever finds one beats it."
    return text


def _compared(rows: Sequence[MaskedRow], other: str, of: Callable[[MaskedRow], Difference | None], k: int) -> str:
    """What captions gain over another method; nothing if they were not compared."""
    parts = []
    for articles in (OF_HIDDEN, OF_ALL):
        captions = [row for row in rows if (row.method, row.articles) == ("captions", articles)]
        gains = {row.share: gain for row in captions if (gain := of(row))}
        if not gains:
            return ""
        shown = (
            f"{share:.0%} hidden: {one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]" for share, one in gains.items()
        )
        verdict = _verdict(list(gains.values()), other)
        parts.append(f"for purchases of {articles} articles {verdict} (nDCG@{k}, {'; '.join(shown)})")
    return ", ".join(parts)


def _verdict(gains: Sequence[Difference], other: str) -> str:
    better, worse = [gain.low > 0 for gain in gains], [gain.high < 0 for gain in gains]
    if any(better) and any(worse):
        return f"captions beat {other} at one share and lose at another"
    if any(better):
        return f"captions beat {other}" + ("" if all(better) else " at some shares alone")
    if any(worse):
        return f"{other} beats captions" + ("" if all(worse) else " at some shares alone")
    return f"no effect of captions over {other} was found"
