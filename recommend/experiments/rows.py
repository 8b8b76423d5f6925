"""A row of a recipe: one model on one data set, from what goes in to its result on disk."""

import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from finetune.data.feature_cache import FeatureStore
from finetune.experiments.cells import CellErrors
from metrics.common.files import sha256
from metrics.common.version import installed_version
from recommend.experiments.data import OpenDataset, Part
from recommend.experiments.features import described, features_of, reads
from recommend.experiments.fitting import choose, fit, recommender_of
from recommend.experiments.measured import measured, slices_of
from recommend.experiments.models import RANDOM, Model
from recommend.experiments.recipe import Dataset, Recipe
from recommend.experiments.results import Place
from recommend.interactions.purchases import PurchasesFolder
from recommend.ranking.protocol import Protocol


@dataclass(frozen=True)
class Row:
    """A model on a data set, and where its result lies."""

    dataset: Dataset
    model: Model
    place: Place

    @property
    def title(self) -> str:
        """On the screen."""
        return f"{self.dataset.name}: {self.model.title}"


def plan(recipe: Recipe, source: str) -> list[Row]:
    """All rows, data set by data set. Raises `UserError` with all purchases, features and settings that are missing."""
    errors, digests = CellErrors(source), _Digests()
    for dataset in recipe.datasets:
        with errors.collect(dataset.name):
            digests.purchases(dataset.purchases)
    for model in recipe.models:
        with errors.collect(model.title):
            recommender_of(model, recipe.seed)
        for place in reads(model):
            with errors.collect(model.title):
                digests.features(place)
    errors.refuse()
    return [Row(dataset, model, _place(recipe, dataset, model, digests)) for dataset, model in recipe.rows()]


class _Digests:
    """What purchases, stores and tables are, each read once."""

    def __init__(self) -> None:
        self.purchases = cache(lambda folder: PurchasesFolder.open(folder).digest)
        self.features = cache(_digest)


def _digest(place: str) -> str:
    """That of a store, or of the table of nearest items."""
    if place == RANDOM:
        return place
    return sha256(Path(place)) if Path(place).is_file() else FeatureStore.open(Path(place)).digest


def _place(recipe: Recipe, dataset: Dataset, model: Model, digests: _Digests) -> Place:
    inputs = {
        "dataset": dataset.model_dump(mode="json", exclude={"name", "purchases", "published"}),
        "purchases": digests.purchases(dataset.purchases),
        "model": model.kind,
        "settings": recommender_of(model, recipe.seed).settings(),
        "chosen": model.model_dump(
            mode="json", include={"tune", "early_stopping", "pca", "missing"}, exclude_none=True
        ),
        "features": [digests.features(place) for place in reads(model)],
        "ks": list(recipe.ks),
        "seed": recipe.seed,
    }
    return Place.of(recipe.output, f"{dataset.name} {model.title}", inputs)


class _Laps:
    """Seconds between calls, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._start = round(now - self._start, 3), now


def finish(row: Row, data: OpenDataset, recipe: Recipe) -> None:
    """Choose, fit, recommend, measure, and write the result. Raises `UserError` if any of that cannot be done."""
    part, unfinished, lap = data.test, row.place.unfinished, _Laps()
    chosen, trials = choose(row.model, data, recipe.seed, recipe.k, unfinished)
    lap("choose")
    read = features_of(chosen, part.train, recipe.seed)
    recommender = fit(chosen, part, read.features if read else None, recipe.seed, unfinished / "final")
    lap("fit")
    lists = recommender.recommend(part.relevant.customers, recipe.k, not recommender.only_repeats)
    lap("recommend")
    slices = slices_of(lists.ids, part)
    result = {
        "settings": recommender.settings(),
        "features": described(read),
        "trials": [asdict(trial) for trial in trials],
        "protocol": asdict(_protocol(row.dataset, part, recommender.only_repeats, recipe.seed)),
        "facts": data.account,
        "short_lists": lists.short,
        **measured(slices, part, recipe.ks),
        "lookbook": installed_version(),
    }
    lap("measure")
    row.place.write({**result, "seconds": lap.seconds}, slices, recipe.ks)


def _protocol(dataset: Dataset, part: Part, repeats: bool, seed: int) -> Protocol:
    return Protocol(
        split=dataset.split,
        candidates=dataset.candidates,
        articles=len(part.train.article_ids),
        seen="included" if repeats else "excluded",
        customers="in both parts" if dataset.customers == "with-history" else "in the test part",
        seed=seed,
    )
