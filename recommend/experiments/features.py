"""The features that a model of the recipe reads."""

from pathlib import Path
from typing import Any

from finetune.data.feature_cache import FeatureStore
from recommend.experiments.models import RANDOM, Model
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import ItemFeatures
from recommend.recommenders.features import item_features, random_features, without_features

RANDOM_DIMENSIONS = 64


def stores_of(model: Model) -> list[str]:
    """The stores that a model reads, or `random`."""
    given = (getattr(model, "features", None), getattr(model, "captions", None))
    return [str(one) for one in given if one is not None]


def features_of(model: Model, train: Purchases, seed: int) -> ItemFeatures | None:
    """Those of the articles of `train`; None for a model that reads none. Raises `UserError` as `item_features`."""
    store = getattr(model, "features", None)
    if store is None:
        return None
    ids, dimensions = train.article_ids, model.pca  # type: ignore[union-attr]
    if store == RANDOM:
        return random_features(len(ids), dimensions or RANDOM_DIMENSIONS, seed)
    return item_features(FeatureStore.open(Path(store)), ids, dimensions)


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
