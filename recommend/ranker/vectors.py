"""What an arm adds: components of a store, the likeness to what was bought, whether a store has an article."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.features.reduce import draw_sample
from recommend.features.reducers import FIT_ON, fit
from recommend.ranker.candidates import Candidates
from recommend.ranker.features import Columns
from recommend.ranker.history import Floats, History
from recommend.ranker.recipe import RANDOM, Arm
from recommend.recommenders.base import ItemFeatures
from recommend.recommenders.features import item_features, random_features, without_features

LIKENESS = "likeness"


@dataclass(frozen=True)
class Added:
    """The features of an arm.

    Attributes:
        names: of the columns of `rows`.
        rows: (I, d) of each article; NaN where the store has nothing.
        known: (I,) whether a store has the article.
        units: (I, r) the components with length one, zeros where there are none; None if likeness is no feature.
        about: what a table says of them, for JSON.
    """

    names: list[str]
    rows: Floats
    known: NDArray[np.bool_]
    units: Floats | None
    about: dict[str, Any]

    def columns(self, found: Candidates, history: History) -> Columns:
        """The features of n candidates, (n,)."""
        columns = {name: self.rows[found.articles, place] for place, name in enumerate(self.names)}
        if self.units is not None:
            columns[LIKENESS] = _likeness(self.units, found, history)
        return columns


def added(
    arm: Arm, components: int, article_ids: Sequence[str], bestsellers: NDArray[np.int64], seed: int
) -> Added | None:
    """The features of an arm, None if it adds none.

    The components are fitted on articles, each counted once, not on candidates, of which a popular article has many.

    Args:
        arm: of the recipe.
        components: how many.
        article_ids: I articles.
        bestsellers: of a history, the most sold first.
        seed: of random numbers.

    Raises:
        UserError: a store has none of the articles or cannot be read, or too few for so many components.
    """
    if arm.features is None:
        return _flags(arm, article_ids) if arm.flags else None
    known = known_articles(arm, components, article_ids, bestsellers)
    vectors = _vectors(arm, components, article_ids, seed)
    try:
        rows, variance = _components(vectors, known, components)
    except UserError as error:
        raise UserError(f"arms: {arm.name}: {error}") from error
    about = {
        "store": vectors.name,
        "texts": _texts(arm),
        "lacking": without_features(vectors, article_ids),
        "variance": variance,
    }
    units, flags = (_units(rows) if arm.likeness else None), _flags(arm, article_ids)
    names = _pcs(components) + flags.names
    return Added(names, np.hstack([rows, flags.rows]), np.isfinite(rows[:, 0]), units, about | flags.about)


def names_of(arm: Arm, components: int) -> list[str]:
    """The names of the features that an arm adds."""
    ours = [] if arm.features is None else [*_pcs(components), *([LIKENESS] if arm.likeness else [])]
    return [*ours, *arm.flags]


def _pcs(components: int) -> list[str]:
    return [f"pc{number}" for number in range(1, components + 1)]


def known_articles(
    arm: Arm, components: int, article_ids: Sequence[str], bestsellers: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The places of the articles whose features the arm adds; reads no row.

    Raises `UserError` if they, or the numbers of a vector, are too few for the components.
    """
    known = np.arange(len(article_ids))
    if arm.features != RANDOM:
        store = FeatureStore.open(Path(str(arm.features)))
        if len(store.shape) != 1 or store.shape[0] < components:
            raise UserError(
                f"arms: {arm.name}: expected vectors of at least {components} numbers for {components} components, "
                f"found rows of shape {store.shape} in {store.path}; lower components, or name another store"
            )
        known = np.flatnonzero([key in store for key in article_ids])
    if arm.bestsellers is not None:
        known = np.intersect1d(known, bestsellers[: arm.bestsellers])
    if len(known) <= components:
        raise UserError(
            f"arms: {arm.name}: expected more than {components} articles with features for {components} components, "
            f"found {len(known):,} among those of the purchases; lower components, or embed more articles"
        )
    return known


def _vectors(arm: Arm, components: int, article_ids: Sequence[str], seed: int) -> ItemFeatures:
    if arm.features == RANDOM:
        return random_features(len(article_ids), components, seed)
    return item_features(FeatureStore.open(Path(str(arm.features))), article_ids)


def _texts(arm: Arm) -> str | None:
    """Which texts the vectors are of, and by which encoder; None of photos and random numbers."""
    if arm.features == RANDOM:
        return None
    about = FeatureStore.open(Path(str(arm.features))).about
    return about.text and f"{about.text} by {about.encoder_shown}"


def _components(vectors: ItemFeatures, known: NDArray[np.int64], count: int) -> tuple[Floats, float]:
    """The first principal components of the known articles (I, count), and their share of the variance."""
    sample = known[draw_sample(len(known), FIT_ON["pca"])]
    fitted = fit("pca", vectors.rows[sample], count)
    if fitted.transform is None or fitted.variance is None:
        raise ValueError("PCA maps new rows and explains variance")
    rows = np.full((len(vectors.known), count), np.nan, dtype=np.float32)
    rows[known] = fitted.transform(vectors.rows[known])
    return rows, float(fitted.variance[:count].sum())


def _flags(arm: Arm, article_ids: Sequence[str]) -> Added:
    """Whether each store has the articles, 0 or 1."""
    rows = np.zeros((len(article_ids), len(arm.flags)), dtype=np.float32)
    for place, path in enumerate(arm.flags.values()):
        store = FeatureStore.open(path)
        rows[:, place] = [key in store for key in article_ids]
    return Added(list(arm.flags), rows, np.any(rows, axis=1), None, {"flags": list(arm.flags)})


def _units(rows: Floats) -> Floats:
    filled = np.nan_to_num(rows)
    lengths = np.linalg.norm(filled, axis=1, keepdims=True)
    return np.asarray(filled / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _likeness(units: Floats, found: Candidates, history: History) -> Floats:
    """The cosine of each candidate to the mean of the customer's articles; NaN if one of them has no direction."""
    owners, pairs = history.of(found.customers)
    shape = (len(found.customers), len(units))
    bought = scipy.sparse.csr_matrix((np.ones(len(pairs), np.float32), (owners, history.articles[pairs])), shape=shape)
    means = _units(bought @ units)
    cosines = np.einsum("nd,nd->n", units[found.articles], means[found.owners])
    both = np.any(units, axis=1)[found.articles] & np.any(means, axis=1)[found.owners]
    return np.where(both, cosines, np.nan).astype(np.float32)
