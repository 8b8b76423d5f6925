"""The features that a model of the recipe reads."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finetune.data.feature_cache import FeatureStore
from recommend.experiments.models import RANDOM, Model, NeighbourContent, WithFeatures
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import ItemFeatures
from recommend.recommenders.features import check_vectors, item_features, random_features, reduced, without_features
from recommend.recommenders.missing.imputation import impute

RANDOM_DIMENSIONS = 64


def reads(model: Model) -> list[str]:
    """The stores that a model reads, or the table of nearest items, or `random`."""
    if isinstance(model, NeighbourContent):
        return [str(model.table)]
    if not isinstance(model, WithFeatures):
        return []
    return [model.features, *([str(model.captions)] if model.captions else [])]


def check_features(model: Model, place: str) -> None:
    """Raise `UserError` if the model cannot use what it `reads`, a store of other rows; reads none of these."""
    if isinstance(model, WithFeatures) and place != RANDOM:
        check_vectors(FeatureStore.open(Path(place)), model.pca, "pca")


@dataclass(frozen=True)
class ReadFeatures:
    """Features of articles, and how many of these had none.

    Attributes:
        features: as the model reads them.
        known: articles that the store has.
        filled: others, by the method of `missing`.
        by_mean: those that it could not fill, which got the mean.
        lacking: a sentence that counts and names the articles that the store does not have; None if there are none.
    """

    features: ItemFeatures
    known: int
    filled: int = 0
    by_mean: int = 0
    lacking: str | None = None


def features_of(model: Model, train: Purchases, seed: int) -> ReadFeatures | None:
    """Those of the articles of `train`, None for a model that reads none. Raises `UserError` if they do not fit.

    What is missing is filled in first, then all is reduced: captions have the dimensions of what they stand in for.
    """
    if not isinstance(model, WithFeatures):
        return None
    if model.features == RANDOM:
        drawn = random_features(len(train.article_ids), model.pca or RANDOM_DIMENSIONS, seed)
        return ReadFeatures(drawn, len(train.article_ids))
    store, early = FeatureStore.open(Path(model.features)), None if model.missing else model.pca
    stored = item_features(store, train.article_ids, early)
    known = int(stored.known.sum())
    lacking = without_features(replace(stored, name=store.path.name), train.article_ids)  # one name for all its models
    if model.missing is None:
        return ReadFeatures(stored, known, lacking=lacking)
    captions = item_features(FeatureStore.open(model.captions), train.article_ids) if model.captions else None
    made = impute(stored, model.missing, train.matrix, captions, seed)
    features = made.features if model.pca is None else reduced(made.features, model.pca)
    if lacking and model.missing != "drop":
        lacking += f"; {made.filled:,} are filled in by {model.missing}, {made.by_mean:,} by the mean for want of it"
    return ReadFeatures(features, known, made.filled, made.by_mean, lacking)


def described(read: ReadFeatures | None) -> dict[str, Any] | None:
    """What a table says of the features: their name, how many candidates have some, which had none."""
    if read is None:
        return None
    return {
        "name": read.features.name,
        "dimensions": read.features.rows.shape[1],
        "known": read.known,
        "articles": len(read.features.known),
        "filled": read.filled,
        "by_mean": read.by_mean,
        "lacking": read.lacking,
    }
