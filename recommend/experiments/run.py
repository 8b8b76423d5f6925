"""All rows of a recipe, one after the other; interrupted and started again, it continues with what is unfinished."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from metrics.common.files import make_folder
from metrics.common.formatting import duration
from metrics.common.version import installed_version
from recommend.experiments.data import OpenDataset, open_dataset
from recommend.experiments.features import described, features_of
from recommend.experiments.fitting import choose, fit
from recommend.experiments.measured import measured
from recommend.experiments.models import RANDOM, Model
from recommend.experiments.recipe import Dataset, Recipe
from recommend.experiments.results import Place
from recommend.interactions.purchases import PurchasesFolder
from recommend.ranking.measures import ranking_values
from recommend.ranking.protocol import Protocol


def place_of(recipe: Recipe, dataset: Dataset, model: Model) -> Place:
    """Where a row's result lies. Raises `UserError` if its purchases or features are missing."""
    inputs: dict[str, Any] = {
        "dataset": dataset.model_dump(mode="json", exclude={"name", "purchases", "only", "published"}),
        "purchases": _purchases_digest(dataset.purchases),
        "only": _store_digest(str(dataset.only)) if dataset.only else None,
        "model": model.model_dump(mode="json", exclude={"name", "datasets", "published", "features", "captions"}),
        "features": [_store_digest(store) for store in stores_of(model)],
        "ks": list(recipe.ks),
        "seed": recipe.seed,
    }
    return Place.of(recipe.output, f"{dataset.name} {model.title}", inputs)


def stores_of(model: Model) -> list[str]:
    """The stores of features that a model reads; `random` for none."""
    given = (getattr(model, "features", None), getattr(model, "captions", None))
    return [str(one) for one in given if one is not None]


@cache
def _purchases_digest(folder: Path) -> str:
    return PurchasesFolder.open(folder).digest


@cache
def _store_digest(store: str) -> str:
    return store if store == RANDOM else FeatureStore.open(Path(store)).digest


def run(recipe: Recipe) -> None:
    """Fit and measure every row that is not finished. Raises `UserError` if another process is at it."""
    places = [(dataset, model, place_of(recipe, dataset, model)) for dataset, model in recipe.rows()]
    make_folder(recipe.output)
    with only_here(recipe.output):
        opened: OpenDataset | None = None
        for number, (dataset, model, place) in enumerate(places, 1):
            name = f"[{number}/{len(places)}] {dataset.name}: {model.title}"
            if place.is_finished():
                print(f"{name}: finished already", flush=True)
                continue
            if opened is None or opened.section != dataset:
                opened = None  # the purchases of one data set at a time are in memory
                opened = open_dataset(dataset)
            print(name, flush=True)
            start = time.perf_counter()
            _finish(recipe, opened, model, place)
            print(f"{name}: {duration(time.perf_counter() - start)}", flush=True)


@contextmanager
def only_here(output: Path) -> Iterator[None]:
    """Lock the output for the block. Raises `UserError` if another process has locked it."""
    lock = FileLock(output / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{output}: another process is at it; wait for it, or give another output=...") from error
    try:
        yield
    finally:
        lock.release()


def _finish(recipe: Recipe, data: OpenDataset, model: Model, place: Place) -> None:
    seconds, clock = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name], clock = round(time.perf_counter() - clock, 3), time.perf_counter()

    part = data.test
    chosen, trials = choose(model, data, recipe.seed, recipe.k, place.unfinished)
    lap("choose")
    features = features_of(chosen, part.train, recipe.seed)
    recommender = fit(chosen, part, features, recipe.seed, place.unfinished / "final")
    lap("fit")
    seen = recommender.only_repeats
    lists = recommender.recommend(part.relevant.customers, recipe.k, not seen)
    lap("recommend")
    result = measured(lists.ids, part, recipe.ks)
    values = ranking_values(lists.ids, part.relevant, recipe.ks)
    lap("measure")
    protocol = Protocol(
        split=data.section.split,
        candidates=data.section.candidates,
        articles=len(part.train.article_ids),
        seen="included" if seen else "excluded",
        customers="in both parts" if data.section.customers == "with-history" else "in the test part",
        seed=recipe.seed,
    )
    about = {
        "dataset": data.section.name,
        "model": model.title,
        "settings": recommender.settings(),
        "features": described(features, part.train),
        "trials": [asdict(trial) for trial in trials],
        "protocol": asdict(protocol),
        "facts": {**data.facts.as_dict(), "candidates": len(part.train.article_ids), "only": data.only},
        "short_lists": lists.short,
        "seconds": seconds,
        "lookbook": installed_version(),
    }
    place.write({**about, **result}, part.relevant.customers, lists.ids, values)
    shutil.rmtree(place.unfinished, ignore_errors=True)
