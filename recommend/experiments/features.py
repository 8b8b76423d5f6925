"""The features that a model of the recipe reads."""

from pathlib import Path
from typing import Any

from finetune.data.feature_cache import FeatureStore
from recommend.experiments.models import RANDOM, Model, NeighbourContent, WithFeatures
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import ItemFeatures
from recommend.recommenders.features import item_features, random_features, reduced, without_features
from recommend.recommenders.missing.imputation import impute

RANDOM_DIMENSIONS = 64


def reads(model: Model) -> list[str]:
    """The stores that a model reads, or the table of nearest items, or `random`."""
    if isinstance(model, NeighbourContent):
        return [str(model.table)]
    if not isinstance(model, WithFeatures):
        return []
    return [model.features, *([str(model.captions)] if model.captions else [])]


def features_of(model: Model, train: Purchases, seed: int) -> ItemFeatures | None:
    """Those of the articles of `train`, None for a model that reads none. Raises `UserError` if they do not fit.

    What is missing is filled in first, then all is reduced: captions have the dimensions of what they stand in for.
    """
    if not isinstance(model, WithFeatures):
        return None
    if model.features == RANDOM:
        return random_features(len(train.article_ids), model.pca or RANDOM_DIMENSIONS, seed)
    store = FeatureStore.open(Path(model.features))
    if model.missing is None:
        return item_features(store, train.article_ids, model.pca)
    captions = item_features(FeatureStore.open(model.captions), train.article_ids) if model.captions else None
    whole = impute(item_features(store, train.article_ids), model.missing, train.matrix, captions, seed).features
    return whole if model.pca is None else reduced(whole, model.pca)


def described(features: ItemFeatures | None, train: Purchases) -> dict[str, Any] | None:
    """What a table says of the features: their name, how many candidates have some, which have none."""
    if features is None:
        return None
    return {
        "name": features.name,
        "dimensions": features.rows.shape[1],
        "known": int(features.known.sum()),
        "articles": len(features.known),
        "lacking": without_features(features, train.article_ids),
    }
