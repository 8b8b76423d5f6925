"""Attribute Precision@K of feature stores: each alone, two of them joined, and what chance gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from metrics.common.version import installed_version
from recommend.evaluation.attributes import NO_VALUE, Agreement, Places, agreement, chance
from recommend.evaluation.estimates import Estimate, Row, estimated, gain
from recommend.evaluation.neighbours import check_k, neighbours
from recommend.evaluation.request import Setting, halves, named
from recommend.features.fusion import Rows, UnitVectors

CHANCE = "chance"
CONTROL = "random-resnet50"
WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))


@dataclass(frozen=True)
class Part:
    """A table: the rows of all methods on the same queries, with siblings in or out.

    `gains`: how much higher the last row's mean precision is than each store's, paired; of joined stores alone.
    """

    siblings: bool
    queries: int
    rows: Sequence[Row]
    gains: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class Joined:
    """Two stores joined: the mean P@K of every weight of the first on one half, and the tables of the other half."""

    weight: float
    choosing: Mapping[float, float]
    choosing_queries: int
    parts: Sequence[Part]


@dataclass(frozen=True)
class Precision:
    """The result of `attribute-precision`; `has_control`: whether a store is of a network with random weights."""

    k: int
    attributes: Sequence[str]
    parts: Sequence[Part]
    joined: Joined | None
    has_control: bool
    signature: str


def measure(
    stores: Sequence[FeatureStore],
    setting: Setting,
    queries: Places,
    k: int,
    kinds: Sequence[bool],
    join: bool = False,
    centred: bool = True,
) -> Precision:
    """Measure stores on the items that all have; `kinds` are siblings in (True) or out; `join` joins the first two.

    Raises `UserError` if a vector has no direction, rows are no vectors, or a query has fewer than k others.
    """
    for siblings in kinds:
        check_k(k, setting.labels.products, queries, siblings)
    single = {store.path.name: _units([store], 1.0, setting, centred) for store in stores}
    parts = [_part(single, setting, queries, k, siblings) for siblings in kinds]
    together = _joined(stores[:2], single, setting, queries, k, kinds, centred) if join else None
    has_control = any(store.about.encoder == CONTROL for store in stores)
    signature = _signature(stores, setting, queries, k, centred)
    return Precision(k, setting.labels.names, parts, together, has_control, signature)


def _units(stores: Sequence[FeatureStore], weight: float, setting: Setting, centred: bool) -> Rows:
    vectors = UnitVectors(stores, weight, centred)
    places = {key: place for place, key in enumerate(vectors.ids)}
    return vectors.rows([places[key] for key in setting.ids])


def _part(
    units: Mapping[str, Rows], setting: Setting, queries: Places, k: int, siblings: bool, joined: str | None = None
) -> Part:
    labels = setting.labels
    scores = {CHANCE: chance(labels, queries, k, siblings)}
    for name, vectors in units.items():
        scores[name] = _scores(vectors, setting, queries, k, siblings)
    products = labels.products[queries]
    rows = [estimated(name, one, labels.names, products) for name, one in scores.items()]
    means = {name: one.precision[:, -1] for name, one in scores.items()}
    gains = {name: gain(means[joined], means[name], products) for name in units if name != joined} if joined else {}
    return Part(siblings, len(queries), rows, gains)


def _scores(units: Rows, setting: Setting, queries: Places, k: int, siblings: bool) -> Agreement:
    found = neighbours(units, queries, k, setting.labels.products, siblings)
    return agreement(setting.labels, queries, found, siblings)


def _joined(
    stores: Sequence[FeatureStore],
    single: Mapping[str, Rows],
    setting: Setting,
    queries: Places,
    k: int,
    kinds: Sequence[bool],
    centred: bool,
) -> Joined:
    """Choose the weight with siblings out unless they are in everywhere: with them every weight looks good."""
    split = halves(setting.labels.products[queries])
    known = (setting.labels.codes[queries] != NO_VALUE).any(axis=1)
    if not all(known[half].any() for half in split):
        raise UserError(
            "--join: expected queries of two products at least, to choose the weight and to show; add queries"
        )
    choosing, shown = (queries[half] for half in split)
    curve = {}
    for weight in WEIGHTS:
        units = _units(stores, weight, setting, centred)
        means = _scores(units, setting, choosing, k, all(kinds)).precision[:, -1]
        curve[weight] = float(means[~np.isnan(means)].mean())
    best = max(WEIGHTS, key=lambda weight: curve[weight])
    one, other = (store.path.name for store in stores)
    name = f"{best:g} {one} + {round(1 - best, 1):g} {other}"
    both = {one: single[one], other: single[other], name: _units(stores, best, setting, centred)}
    parts = [_part(both, setting, shown, k, siblings, name) for siblings in kinds]
    return Joined(best, curve, len(choosing), parts)


def _signature(stores: Sequence[FeatureStore], setting: Setting, queries: Places, k: int, centred: bool) -> str:
    described = ",".join(f"{store.path.name}={named(store)}" for store in stores)
    clusters = len(np.unique(setting.labels.products[queries]))
    return (
        f"P@{k}|attributes:{'+'.join(setting.labels.names)}|exact cosine, {'' if centred else 'not '}centred|"
        f"items:{len(setting.ids)}|queries:{len(queries)}|clusters:{clusters} products|stores:{described}|"
        f"version:{installed_version()}"
    )
