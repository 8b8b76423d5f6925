"""Features for the articles that have none, made from those of the others, or from captions.

Source of the methods on the graph of articles: Malitesta et al., Do We Really Need to Drop Items with Missing
Modalities in Multimodal Recommendation?, CIKM 2024.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import Floats, ItemFeatures
from recommend.recommenders.implicit_models import most_similar

Method = Literal["zeros", "mean", "random", "neighbours", "pagerank", "captions", "drop"]
METHODS: tuple[Method, ...] = get_args(Method)
NEIGHBOURS = 20  # of an article in the graph
RESTART = 0.15  # probability of the walk to return to its article
STEPS = 20  # of the walk; 0.85 ** 20 of it is not walked


@dataclass(frozen=True)
class Imputed:
    """Features after imputation.

    Attributes:
        features: of all articles; only after `drop` some are not known.
        filled: articles that the method filled.
        by_mean: articles that it could not, for want of neighbours or a caption, and that got the mean instead.
    """

    features: ItemFeatures
    filled: int
    by_mean: int


def impute(
    features: ItemFeatures,
    method: Method,
    history: scipy.sparse.csr_matrix,
    captions: ItemFeatures | None = None,
    seed: int = 42,
) -> Imputed:
    """Fill in the features of the articles that are not known.

    - zeros; mean: of the known ones; random: normal, each number with the mean and the deviation of the known ones;
    - neighbours: the mean of the known ones among the 20 articles that share most customers, weighted by the cosine;
    - pagerank: the mean of the known ones, weighted by how often a random walk on that graph visits them, which starts
      at the article and returns there with probability 0.15;
    - captions: the rows of `captions`, features of generated captions by the same encoder;
    - drop: nothing; they stay unknown, and `without_unknown` takes their purchases out of training.

    Args:
        features: at least one is known.
        method: one of `METHODS`.
        history: (U, I) purchases of the training part.
        captions: of method `captions`.
        seed: of method `random`.

    Raises:
        UserError: no features are known, there is no such method, or captions are missing or of another space.
    """
    if method not in METHODS:
        raise UserError(f"missing: expected one of {', '.join(METHODS)}, found {method}")
    if not features.known.any():
        raise UserError(f"features {features.name}: expected some that are known, found none; name another store")
    if method == "drop" or features.known.all():
        return Imputed(features, 0, 0)
    mean = features.rows[features.known].mean(axis=0, dtype=np.float64).astype(np.float32)
    rows, made = _made(features, method, history, captions, mean, seed)
    filled, by_mean = ~features.known & made, ~features.known & ~made
    complete = features.rows.copy()
    complete[filled], complete[by_mean] = rows[filled], mean
    everything = ItemFeatures(complete, np.ones_like(made), f"{features.name}, missing by {method}")
    return Imputed(everything, int(filled.sum()), int(by_mean.sum()))


def without_unknown(train: Purchases, features: ItemFeatures) -> Purchases:
    """The purchases of articles whose features are known; after `drop` the others are then in no list."""
    return train.taken(features.known[train.articles])


def _made(
    features: ItemFeatures,
    method: Method,
    history: scipy.sparse.csr_matrix,
    captions: ItemFeatures | None,
    mean: Floats,
    seed: int,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Rows (I, d), and for which articles (I,) there is one."""
    everywhere = np.ones(len(features.known), dtype=bool)
    if method == "zeros":
        return np.zeros_like(features.rows), everywhere
    if method == "mean":
        return np.broadcast_to(mean, features.rows.shape), everywhere
    if method == "random":
        drawn = np.random.default_rng(seed).standard_normal(features.rows.shape, dtype=np.float32)
        return mean + features.rows[features.known].std(axis=0) * drawn, everywhere
    if method == "captions":
        return _of_captions(features, captions)
    graph = article_graph(history)
    if method == "neighbours":
        return _weighted(graph @ _known_rows(features), graph @ features.known.astype(np.float32))
    return _walked(graph, features)


def _of_captions(features: ItemFeatures, captions: ItemFeatures | None) -> tuple[Floats, NDArray[np.bool_]]:
    if captions is None:
        raise UserError("missing: captions: expected features of captions, found none; name their store")
    if captions.rows.shape != features.rows.shape:
        raise UserError(
            f"features {captions.name}: expected rows of shape {features.rows.shape}, as {features.name} has, found "
            f"{captions.rows.shape}; embed the captions by the same encoder"
        )
    return captions.rows, captions.known


def article_graph(history: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """(I, I) the cosines of each article's buyers to those of its 20 nearest; a row sums to 1, or is empty."""
    graph = most_similar(history, NEIGHBOURS + 1).astype(np.float32)
    graph.setdiag(0)
    graph.eliminate_zeros()
    sums = np.asarray(graph.sum(axis=1)).ravel()
    return (scipy.sparse.diags(np.where(sums > 0, 1 / np.where(sums > 0, sums, 1), 0)) @ graph).tocsr()


def _walked(graph: scipy.sparse.csr_matrix, features: ItemFeatures) -> tuple[Floats, NDArray[np.bool_]]:
    """Personalised PageRank of all articles at once: it is linear, so that the walk is done on the rows themselves."""
    rows: Floats = np.column_stack([_known_rows(features), features.known]).astype(np.float32)
    total, here = np.float32(RESTART) * rows, rows
    for step in range(1, STEPS + 1):
        here = graph @ here
        total += np.float32(RESTART * (1 - RESTART) ** step) * here
    return _weighted(total[:, :-1], total[:, -1])


def _weighted(sums: Floats, weights: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    there = weights > 0
    rows: Floats = sums / np.where(there, weights, 1).astype(np.float32)[:, None]
    return rows, there


def _known_rows(features: ItemFeatures) -> Floats:
    return np.where(features.known[:, None], features.rows, np.float32(0))
