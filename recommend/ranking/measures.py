"""Measures of a ranked list, from which of its places are hits.

T are a customer's relevant articles, rel(n) is 1 if the article at place n is among them, else 0, and P@n the share of
hits among the first n. A list that ends early has no hits at the missing places.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.ranking.hits import Hits, Lists, hits
from recommend.ranking.relevant import Relevant

Values = NDArray[np.float64]
MEAN_PRECISION = "MAP@{k} (mean precision)"
KAGGLE = "MAP@{k} (Kaggle)"
NAMES = ("nDCG@{k}", MEAN_PRECISION, "MAP@{k}", KAGGLE, "recall@{k}", "precision@{k}", "hit@{k}")


def ranking_values(ids: Lists, relevant: Relevant, ks: Sequence[int]) -> dict[str, NDArray[np.float32]]:
    """Every measure at every k, by name such as `nDCG@12`, for each of the m customers of `relevant`, (m,).

    Args:
        ids: (m, K) places of articles, -1 at pads.
        relevant: what the customers bought.
        ks: none above K.

    Raises:
        UserError: a k is above K.
    """
    found = hits(ids, relevant)
    return {name: values[found.of].astype(np.float32) for name, values in pattern_values(found, ks).items()}


def pattern_values(found: Hits, ks: Sequence[int]) -> dict[str, Values]:
    """Every measure at every k for each pattern of hits, (g,). Raises `UserError` if a k exceeds the lists."""
    values = {}
    for k in ks:
        if not 1 <= k <= found.marks.shape[1]:
            raise UserError(f"measures at {k}: expected 1 to {found.marks.shape[1]}, the length of the lists")
        at_k = at(found.marks[:, :k], found.sizes)
        values.update({name.format(k=k): value for name, value in at_k.items()})
    return values


def at(marks: NDArray[np.bool_], sizes: NDArray[np.int64]) -> dict[str, Values]:
    """Each of `NAMES` for g lists of k places with `marks` (g, k) and |T| in `sizes` (g,).

    - nDCG (Järvelin and Kekäläinen, 2002), binary: sum of rel(n) / log2(n + 1), over the same of min(|T|, k) hits.
    - MAP (mean precision): mean of P@n over n <= k. Elliot (Anelli et al., 2021) calls it MAP, and so do tables made
      with it. It is no average precision: it counts places that are no hits, so that it falls as k grows.
    - MAP: sum of P@n rel(n), over |T| (trec_eval's `map_cut`).
    - MAP (Kaggle): the same over min(|T|, k), as in the H&M competition.
    - recall: hits over |T|; precision: hits over k; hit: 1 if there is any.
    """
    k = marks.shape[1]
    counts = marks.cumsum(axis=1)
    precisions = counts / np.arange(1, k + 1)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = discounts.cumsum()[np.minimum(sizes, k) - 1]
    summed = (precisions * marks).sum(axis=1)
    values = (
        (discounts * marks).sum(axis=1) / ideal,
        precisions.mean(axis=1),
        summed / sizes,
        summed / np.minimum(sizes, k),
        counts[:, -1] / sizes,
        precisions[:, -1],
        (counts[:, -1] > 0).astype(np.float64),
    )
    return dict(zip(NAMES, values, strict=True))
