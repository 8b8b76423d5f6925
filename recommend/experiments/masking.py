"""The recipe's section `masking`: which way of filling in missing features helps, judged by hiding known ones."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from finetune.data.feature_cache import FeatureStore
from metrics.common.files import sha256
from recommend.experiments.data import OpenDataset, Part
from recommend.experiments.fitting import fit
from recommend.experiments.models import Reading, WithFeatures
from recommend.experiments.recipe import Masking, Recipe
from recommend.experiments.results import Place
from recommend.interactions.interactions import Purchases
from recommend.interactions.purchases import PurchasesFolder
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.features import item_features, reduced
from recommend.recommenders.missing.held_out import held_out
from recommend.recommenders.missing.imputation import METHODS
from recommend.recommenders.missing.kept_lists import KeptLists
from recommend.recommenders.missing.masking import masking_study


def masking_place(recipe: Recipe, masking: Masking) -> Place:
    """Where the study's result lies. Raises `UserError` if purchases, features, captions or items are missing."""
    dataset = recipe.dataset(masking.dataset)
    inputs = {
        "dataset": dataset.model_dump(mode="json", exclude={"name", "purchases", "published"}),
        "purchases": PurchasesFolder.open(dataset.purchases).digest,
        "features": FeatureStore.open(masking.features).digest,
        "captions": [sha256(masking.captions), sha256(masking.items)],
        "models": {title: {**one.settings(), "pca": one.pca} for title, one in masked_models(recipe, masking).items()},
        "shares": list(masking.shares),
        "k": recipe.k,
        "seed": recipe.seed,
    }
    return Place.of(recipe.output, f"{dataset.name} masking", inputs)


def fits(masking: Masking) -> int:
    """How often the study fits each of its models: with nothing hidden, and for each share by each method."""
    return 1 + len(masking.shares) * len(METHODS)


def study(recipe: Recipe, masking: Masking, data: OpenDataset, unfinished: Path) -> dict[str, Any]:
    """The result of the masking study, for JSON; the folder `unfinished` keeps every fit until all are made."""
    part, store = data.test, FeatureStore.open(masking.features)
    ids = part.train.article_ids
    found = masking_study(
        part.train,
        part.relevant,
        item_features(store, ids),
        held_out(masking.captions, masking.items, store, ids),
        {title: partial(_fit, model, part, recipe.seed) for title, model in masked_models(recipe, masking).items()},
        masking.shares,
        k=recipe.k,
        seed=recipe.seed,
        keep=KeptLists(unfinished, fits(masking) * len(masking.models)),
    )
    return {"dataset": masking.dataset, "estimates": {}, **asdict(found)}


def _fit(
    model: Reading, part: Part, seed: int, train: Purchases, features: ItemFeatures, checkpoint: Path | None
) -> Recommender:
    """The row's own model: features that were filled in are reduced as the recipe says."""
    read = features if model.pca is None else reduced(features, model.pca)
    return fit(model, replace(part, train=train), read, seed, checkpoint)


def masked_models(recipe: Recipe, masking: Masking) -> Mapping[str, Reading]:
    """The models of the study, by title."""
    return {one.title: one for one in recipe.models if isinstance(one, WithFeatures) and one.title in masking.models}
