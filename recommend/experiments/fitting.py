"""A model of the recipe fitted: its settings chosen on the validation part, its features read."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from metrics.common.files import make_folder, read_json_object, write_text
from metrics.common.screen import say
from metrics.records.json_reader import JsonReader
from recommend.experiments.data import OpenDataset, Part
from recommend.experiments.features import features_of
from recommend.experiments.measured import mean_value
from recommend.experiments.models import Model
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.missing.imputation import without_unknown
from recommend.recommenders.registry import RECOMMENDERS, load_recommender
from recommend.recommenders.vbpr.model import VBPR

_REMEDY = "remove this file, and the trial is made again"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried on the validation part.

    Attributes:
        settings: those that were changed; `epochs` where training was stopped early.
        value: the mean nDCG of the validation part's customers.
    """

    settings: Mapping[str, Any]
    value: float


def recommender_of(model: Model, seed: int) -> Recommender:
    """The recommender that the recipe describes, not fitted. Raises `UserError` for settings that it cannot have."""
    seeded = {"seed": seed} if "seed" in _names(RECOMMENDERS[model.kind]) else {}
    return load_recommender({"recommender": model.kind, **seeded, **model.settings()})


def fit(
    model: Model,
    part: Part,
    features: ItemFeatures | None,
    seed: int,
    checkpoint: Path | None = None,
    validation: Part | None = None,
) -> Recommender:
    """Fit on a part; a model that can is stopped early on `validation`, and keeps a checkpoint."""
    recommender, train = recommender_of(model, seed), part.train
    if features is not None and getattr(model, "missing", None) == "drop":
        train = without_unknown(train, features)
    if isinstance(recommender, VBPR):
        recommender.fit(train, features, validation.later if validation else None, checkpoint)
    else:
        recommender.fit(train, features)
    return recommender


def choose(model: Model, data: OpenDataset, seed: int, k: int, checkpoint: Path) -> tuple[Model, list[Trial]]:
    """The model with the settings that are best on the validation part, and all that were tried.

    Nothing is fitted if there is nothing to choose. The test part is not looked at. The folder `checkpoint` keeps each
    trial, so that an interrupted choice resumes.
    """
    stops = getattr(model, "early_stopping", False)
    if not model.tune and not stops:
        return model, []
    part, trials = data.validation(k), []
    read = features_of(model, part.train, seed)
    features = read.features if read else None
    for number, values in enumerate(product(*model.tune.values())):
        changed = dict(zip(model.tune, values, strict=True))
        make = partial(_try, model, changed, part, features, seed, k)
        trials.append(_kept(checkpoint / f"trial-{number}", make))
        say(f"  validation: {_named(trials[-1].settings)}: nDCG@{k} {trials[-1].value:.5f}")
    best = max(trials, key=lambda trial: trial.value)
    return model.with_settings({**best.settings, **({"early_stopping": False} if stops else {})}), trials


def _try(
    model: Model,
    changed: dict[str, Any],
    part: Part,
    features: ItemFeatures | None,
    seed: int,
    k: int,
    checkpoint: Path,
) -> Trial:
    stops = getattr(model, "early_stopping", False)
    fitted = fit(model.with_settings(changed), part, features, seed, checkpoint, part if stops else None)
    epochs = {"epochs": best_epoch(fitted)} if isinstance(fitted, VBPR) and stops else {}
    lists = fitted.recommend(part.relevant.customers, k, not fitted.only_repeats)
    return Trial({**changed, **epochs}, mean_value(lists.ids, part, f"nDCG@{k}", k))


def _kept(unfinished: Path, make: Callable[[Path], Trial]) -> Trial:
    """The trial, made or read; while it is made, what it has learned so far is in the folder `unfinished`.

    Raises `UserError` if its file is damaged.
    """
    path = unfinished.with_suffix(".json")
    if path.exists():
        kept = JsonReader(read_json_object(path, _REMEDY), str(path), _REMEDY)
        value = kept.number("value")
        if value is None or "settings" not in kept.values:
            raise kept.error(f"expected a trial's settings and value, found {sorted(kept.values)}")
        return Trial(dict(kept.mapping("settings")), value)
    trial = make(unfinished)
    make_folder(path.parent)
    write_text(path, json.dumps(asdict(trial)))
    if unfinished.exists():
        shutil.rmtree(unfinished)
    return trial


def best_epoch(fitted: VBPR) -> int:
    """The epoch with the best validation, whose factors were kept."""
    validated = [epoch for epoch in fitted.epochs_trained if epoch.validation is not None]
    return max(validated, key=lambda epoch: epoch.validation or 0.0).number


def _names(kind: type[Recommender]) -> set[str]:
    return {field.name for field in fields(kind)}  # type: ignore[arg-type]


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items()) or "as given"
