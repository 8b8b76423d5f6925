"""What lists show, whatever was bought: how much of the catalogue, and how unknown it is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommend.ranking.hits import Lists
from recommend.ranking.measures import Values


def list_values(ids: Lists, buyers: NDArray[np.integer], customers: int, ks: Sequence[int]) -> dict[str, float]:
    """`coverage@k` and `novelty@k` of all lists `ids` (m, K), -1 at pads.

    Args:
        ids: places of articles.
        buyers: (I,) how many customers bought each article in training.
        customers: who bought anything in training.
        ks: how long the lists are taken to be.
    """
    values = {}
    for k in ks:
        values[f"coverage@{k}"] = coverage(ids[:, :k], len(buyers))
        values[f"novelty@{k}"] = float(np.nanmean(novelty(ids[:, :k], buyers, customers))) if (ids >= 0).any() else 0.0
    return values


def coverage(ids: Lists, articles: int) -> float:
    """The share of all candidates that are in any list (Ge, Delgado-Battenfeld and Jannach, 2010)."""
    return int((np.bincount(ids[ids >= 0], minlength=articles) > 0).sum()) / articles


def novelty(ids: Lists, buyers: NDArray[np.integer], customers: int) -> Values:
    """The mean self-information of each list's articles in bits, (m,); NaN for an empty list.

    That of an article is log2(customers / its buyers) (Zhou et al., 2010, Solving the apparent diversity-accuracy
    dilemma, PNAS 107); one that nobody bought counts as if one customer had.
    """
    bits = np.log2(customers / np.maximum(buyers, 1))
    shown = ids >= 0
    with np.errstate(invalid="ignore"):
        means: Values = np.where(shown, bits[ids], 0.0).sum(axis=1) / shown.sum(axis=1)
    return means
