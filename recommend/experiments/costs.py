"""How long a row will take and how much memory, from a short probe on some of its customers."""

import time
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from recommend.experiments.data import Part
from recommend.experiments.features import features_of
from recommend.experiments.fitting import fit
from recommend.experiments.models import Model, UserKNN
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import ItemFeatures, Recommender
from recommend.recommenders.vbpr.model import VBPR

SECONDS = 2.0  # after which a probe is long enough
_FIRST = 20_000  # purchases of the first probe
_UNTIMED = 2_000  # of a fit before it, for what a process does only once
_CUSTOMERS = 2_048  # whose lists are timed
_SEED = 42
_STATE = {"sgd": 1, "adagrad": 2, "sparse-adam": 3}  # numbers that an optimizer holds for each parameter


@dataclass(frozen=True)
class Cost:
    """Seconds to choose settings and fit, seconds of all lists, and bytes; the probe's rate taken to the whole."""

    fit: float
    recommend: float
    memory: float


def cost_of(model: Model, part: Part, seed: int, k: int) -> Cost:
    """Fit on some customers, twice as many each time, until that takes two seconds, and extrapolate at that rate.

    Epochs and the trials on the validation part multiply it: all epochs, even where training may stop earlier.
    """
    read = features_of(model, part.train, seed)
    features = read.features if read else None
    fit_seconds, fitted = _fit_seconds(model, part, features, seed)
    customers = part.relevant.customers
    few = customers[:: max(1, len(customers) // _CUSTOMERS)]
    start = time.perf_counter()
    fitted.recommend(few, k, not fitted.only_repeats)
    listed = (time.perf_counter() - start) * len(customers) / len(few)
    return Cost(fit_seconds * _times(model, fitted), listed, _bytes(part, features, fitted, k))


def _fit_seconds(model: Model, part: Part, features: ItemFeatures | None, seed: int) -> tuple[float, Recommender]:
    """Seconds of one fit, of one epoch, on all purchases; and what the last probe has fitted."""
    once = model.with_settings({"epochs": 1, "early_stopping": False}) if hasattr(model, "early_stopping") else model
    order = np.random.default_rng(_SEED).permutation(part.train.customer_count)
    fit(once, replace(part, train=_sample(part.train, order, _UNTIMED)), features, seed)
    size, seconds, work = _FIRST, 0.0, 0.0
    while True:
        sample = _sample(part.train, order, size)
        start = time.perf_counter()
        fitted = fit(once, replace(part, train=sample), features, seed)
        now, done = time.perf_counter() - start, _work(model, sample)
        if now >= SECONDS or len(sample) == len(part.train):
            rate = max(now - seconds, 0.0) / max(done - work, 1.0)
            return now + rate * (_work(model, part.train) - done), fitted
        size, seconds, work = 2 * size, now, done


def _sample(train: Purchases, order: np.ndarray, size: int) -> Purchases:
    """The purchases of some customers: of as many as have about `size` together."""
    customers = int(np.ceil(len(order) * size / len(train)))
    if customers >= len(order):
        return train
    kept = np.zeros(len(order), dtype=bool)
    kept[order[:customers]] = True
    return train.taken(kept[train.customers])


def _work(model: Model, train: Purchases) -> float:
    """What the time grows with: purchases, or the pairs of customers who bought the same article."""
    if isinstance(model, UserKNN):
        return float((np.bincount(train.articles).astype(np.float64) ** 2).sum())
    return float(len(train))


def _times(model: Model, fitted: Recommender) -> int:
    """How often the whole is fitted, epochs counted."""
    tried = [dict(zip(model.tune, values, strict=True)) for values in product(*model.tune.values())]
    stops = getattr(model, "early_stopping", False)
    trials = len(tried) if model.tune or stops else 0
    if not isinstance(fitted, VBPR):
        return trials + 1
    return (trials + 1) * (getattr(model, "epochs", None) or type(fitted).epochs)


def _bytes(part: Part, features: ItemFeatures | None, fitted: Recommender, k: int) -> float:
    """Purchases and their parts, the matrix twice, features twice, factors with the optimizer's state, the lists."""
    train, lists = part.train, len(part.relevant.customers) * k
    total = 28.0 * (len(train) + len(part.later)) + 16.0 * len(train) + 16.0 * lists
    if features is not None:
        total += 2.0 * features.rows.nbytes
    if isinstance(fitted, VBPR):
        width = fitted.factors + (fitted.feature_factors if features is not None else 0)
        total += 4.0 * (train.customer_count + len(train.article_ids)) * width * (1 + _STATE[fitted.optimizer])
    return total
