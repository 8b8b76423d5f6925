"""R@K of composed retrieval and of what uses the photo or the text alone, with intervals; numpy alone.

R@K is the share of queries whose target is among the first K of their gallery, in which the reference stays
(Wu et al. 2021). The mean is that of the categories, each with the same weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.common.groups import connected_groups
from metrics.measures.statistics import Statistics, difference_of, intervals
from recommend.evaluation.estimates import Estimate
from recommend.retrieval.fashion_iq import Pair
from recommend.retrieval.search import Floats, Gallery, rank_of, unit

KS = (10, 50)
COMPOSED, PHOTO, TEXT, SUM, RANDOM = "composed", "photo only", "text only", "sum", "random"
LESS_SUM = "composed less sum"
MEAN = "mean"


@dataclass(frozen=True)
class Answers:
    """The queries of a category, answered.

    Attributes:
        category: whose.
        gallery: how many photos there are to choose from.
        targets: (m,) the id that each query means.
        ranks: by method (m,) where the target comes, from 1.
    """

    category: str
    gallery: int
    targets: Sequence[str]
    ranks: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Row:
    """A method's figures, by `CATEGORY R@K` and `mean R@K`."""

    name: str
    figures: Mapping[str, Estimate]


def answer(category: str, gallery: Gallery, pairs: Sequence[Pair], texts: NDArray[np.floating]) -> Answers:
    """Where the target of each of m pairs comes; `texts` (m, d) are the vectors of their captions.

    Photo only: the cosine with the reference; text only: of the text with a photo; sum: of a photo with the sum of
    both, each of length one. The gallery's mean is subtracted from photos in these three, which makes them stronger:
    the text then means a difference from the usual.
    """
    centred = gallery.vectors - gallery.vectors.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    directions = centred / np.where(lengths > 0, lengths, 1.0)
    ranks: dict[str, list[int]] = {method: [] for method in (COMPOSED, PHOTO, TEXT, SUM)}
    for pair, text in zip(pairs, texts, strict=True):
        reference, target = gallery.places[pair.reference], gallery.places[str(pair.target)]
        direction, photo = unit(text), directions[reference]
        scores: dict[str, Floats] = {
            COMPOSED: gallery.scores(gallery.vectors[reference], text),
            PHOTO: directions @ photo,
            TEXT: directions @ direction,
            SUM: directions @ (photo + direction),
        }
        for method, one in scores.items():
            ranks[method].append(rank_of(one, target))
    found = {method: np.array(one, dtype=np.int64) for method, one in ranks.items()}
    return Answers(category, len(gallery), [str(pair.target) for pair in pairs], found)


def rows(answers: Sequence[Answers]) -> list[Row]:
    """A row for each method, with 95% intervals that resample the queries of a target as one, and one for chance.

    The row `LESS_SUM` has the paired difference of the model and the sum.
    """
    clusters = connected_groups([[(one.category, key)] for one in answers for key in one.targets])
    owner = np.repeat(np.arange(len(answers)), [len(one.targets) for one in answers])
    members = np.eye(len(answers))[owner]
    statistics: dict[tuple[str, str], Statistics] = {}
    for method in answers[0].ranks:
        ranks = np.concatenate([one.ranks[method] for one in answers])
        for k in KS:
            statistics |= _statistics(method, k, (ranks <= k).astype(np.float64), members, answers)
    titles = [f"{name} R@{k}" for name in (*(one.category for one in answers), MEAN) for k in KS]
    statistics |= {
        (LESS_SUM, title): difference_of(statistics[COMPOSED, title], statistics[SUM, title]) for title in titles
    }
    estimates = _estimates(statistics, clusters)
    names = [*answers[0].ranks, LESS_SUM]
    found = [Row(name, {title: estimates[name, title] for title in titles}) for name in names]
    return [*found, _chance(answers)]


def _estimates(
    statistics: Mapping[tuple[str, str], Statistics], clusters: NDArray[np.int64]
) -> dict[tuple[str, str], Estimate]:
    places = np.arange(len(clusters))
    bounds = intervals(statistics, places, clusters)
    return {
        name: Estimate(one.value(places), *bounds[name], int((~np.isnan(one.per_item)).sum()))
        for name, one in statistics.items()
    }


def _statistics(
    method: str, k: int, hits: Floats, members: Floats, answers: Sequence[Answers]
) -> dict[tuple[str, str], Statistics]:
    """R@K of each category and their mean, from columns (n, 2 categories): hits and queries of each."""
    count = len(answers)
    columns = np.hstack([members * hits[:, None], members])

    def recall(sums: Floats, which: slice) -> float:
        found, asked = sums[:count][which], sums[count:][which]
        return float(np.mean(found / np.maximum(asked, 1)))

    def one(which: slice) -> Statistics:
        counted = members[:, which].any(axis=1)
        return Statistics(np.where(counted, hits, np.nan), columns, lambda sums: recall(sums, which))

    names = {f"{each.category} R@{k}": slice(place, place + 1) for place, each in enumerate(answers)}
    names[f"{MEAN} R@{k}"] = slice(0, count)
    return {(method, title): one(which) for title, which in names.items()}


def _chance(answers: Sequence[Answers]) -> Row:
    """What a random order gives, exactly."""
    figures = {}
    for k in KS:
        expected = [min(k, one.gallery) / one.gallery for one in answers]
        for one, value in zip(answers, expected, strict=True):
            figures[f"{one.category} R@{k}"] = Estimate(value, None, None, len(one.targets))
        queries = sum(len(one.targets) for one in answers)
        figures[f"{MEAN} R@{k}"] = Estimate(float(np.mean(expected)), None, None, queries)
    return Row(RANDOM, figures)
