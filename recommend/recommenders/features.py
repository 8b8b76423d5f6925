"""The features of articles, aligned with the articles of purchases."""

from collections.abc import Sequence

import numpy as np

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.features.fusion import UnitVectors
from recommend.features.reduce import draw_sample, reduce_vectors
from recommend.features.reducers import fit, rows_to_fit
from recommend.recommenders.base import ItemFeatures
from recommend.recommenders.content import unit_rows

_BATCH = 8192
_NAMED = 5


def item_features(store: FeatureStore, article_ids: Sequence[str], dimensions: int | None = None) -> ItemFeatures:
    """The row of each article, or of all zeros where the store has none, which `without_features` names.

    Args:
        store: any that `lookbook embed`, `join-features` or `reduce` wrote, with a vector an item.
        article_ids: I articles.
        dimensions: reduce the store's unit vectors by PCA, fitted on all its items, to so many; None: as they are.

    Raises:
        UserError: the store has none of the articles, its rows are no vectors or not finite, or PCA cannot have so many
            dimensions.
    """
    places = {key: place for place, key in enumerate(store.ids)}
    found = np.array([places.get(key, -1) for key in article_ids], dtype=np.int64)
    known = np.flatnonzero(found >= 0)
    if not len(known):
        raise UserError(
            f"{store.path}: expected features of the articles that were bought, such as {article_ids[0]}, found other "
            f"items, such as {store.ids[0]}; embed the catalogue of these purchases"
        )
    vectors = UnitVectors([store])
    reduced = None if dimensions is None else reduce_vectors(vectors, "pca", dimensions)
    rows = np.zeros((len(article_ids), dimensions or vectors.dimension), dtype=np.float32)
    for start in range(0, len(known), _BATCH):
        part = known[start : start + _BATCH]
        rows[part] = store.rows(found[part]) if reduced is None else reduced.rows[found[part]]
    name = store.path.name if dimensions is None else f"{store.path.name} PCA {dimensions}"
    return ItemFeatures(rows, found >= 0, name)


def check_vectors(store: FeatureStore, components: int | None, key: str) -> None:
    """Raise `UserError` if the rows of a store are no vectors, or have fewer numbers than components; reads no row.

    `key` is the one that asks for so many principal components in a recipe.
    """
    store.refuse_grids()
    if components is not None and components > store.shape[0]:
        raise UserError(
            f"{store.path}: {key}: expected at most {store.shape[0]}, the numbers of its vectors, found {components}; "
            f"lower {key}"
        )


def reduced(features: ItemFeatures, dimensions: int) -> ItemFeatures:
    """The unit vectors of articles with features, such as were filled in, reduced by PCA that is fitted on these.

    Raises `UserError` if they cannot have so many dimensions.
    """
    places = np.flatnonzero(features.known)
    vectors = unit_rows(features)
    pca = fit("pca", vectors[places[draw_sample(len(places), rows_to_fit("pca", dimensions))]], dimensions)
    assert pca.transform is not None  # noqa: S101  # PCA has one
    rows = np.zeros((len(vectors), dimensions), dtype=np.float32)
    for start in range(0, len(places), _BATCH):
        part = places[start : start + _BATCH]
        rows[part] = pca.transform(vectors[part])
    return ItemFeatures(rows, features.known, f"{features.name}, PCA {dimensions}")


def random_features(articles: int, dimensions: int = 64, seed: int = 42) -> ItemFeatures:
    """Vectors drawn from N(0, 1): the control that says nothing of an article."""
    rows = np.random.default_rng(seed).standard_normal((articles, dimensions), dtype=np.float32)
    return ItemFeatures(rows, np.ones(articles, dtype=bool), f"random {dimensions}")


def without_features(features: ItemFeatures, article_ids: Sequence[str]) -> str | None:
    """A sentence that counts and names the articles without features; None if all have some."""
    lacking = [key for key, known in zip(article_ids, features.known, strict=True) if not known]
    if not lacking:
        return None
    named = ", ".join(lacking[:_NAMED]) + (", ..." if len(lacking) > _NAMED else "")
    return f"{features.name}: {len(lacking):,} of {len(article_ids):,} articles have no features ({named})"
