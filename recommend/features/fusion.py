"""Stores of features as unit vectors, alone or joined by weight, so that a dot product is a cosine.

Photo and text vectors p and t of length one are joined as (sqrt(w) p, sqrt(1-w) t): a vector of length one again,
whose dot product with another is w cos(p, p') + (1-w) cos(t, t').
"""

from collections.abc import Iterator, Sequence
from copy import copy
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError

Rows = NDArray[np.float32]
_BATCH = 8192
_SMALLEST = 1e-6  # of a centred vector, relative to the mean length: below it only rounding is left


class UnitVectors:
    """The unit vectors of the items that all of one or two stores have.

    Attributes:
        stores: the stores, whose rows are vectors.
        weights: each store's share of the cosine; they sum to 1.
        ids: the items that all stores have, in the first one's order.
        left_out: for each store, how many of its items another one lacks.
        dimension: of a row.
        means: what is subtracted from the vectors of each store before they get length one.
    """

    def __init__(self, stores: Sequence[FeatureStore], weight: float = 0.5, centred: bool = True) -> None:
        """Read the stores once, for their means.

        Args:
            stores: one store, or two of the same items.
            weight: the first store's share of the cosine, 0 to 1, if there are two.
            centred: subtract the mean over `ids`. What all photos of a catalogue have in common (one garment, a white
                ground) says nothing about two of them, and without this it is most of their cosine.

        Raises:
            UserError: when the weight is none, a store's rows are no vectors, or the stores share no item.
        """
        if not 0 <= weight <= 1:
            raise UserError(f"--weight: expected the first store's share, from 0 to 1, found {weight}")
        self.stores = list(stores)
        self.weights = [weight, 1 - weight] if len(self.stores) == 2 else [1.0]
        self.ids = _shared_ids(self.stores)
        self.left_out = [len(store) - len(self.ids) for store in self.stores]
        self.dimension = sum(store.shape[0] for store in self.stores)
        self._places = [store.places(self.ids) for store in self.stores]
        self.means = [
            _mean(store, places) if centred else np.zeros(store.shape, np.float32)
            for store, places in zip(self.stores, self._places, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.ids)

    def alone(self, number: int) -> "UnitVectors":
        """The same items by one store only, with the same mean."""
        single = copy(self)
        single.stores, single.weights, single.left_out = [self.stores[number]], [1.0], [self.left_out[number]]
        single.dimension = self.stores[number].shape[0]
        single._places, single.means = [self._places[number]], [self.means[number]]
        return single

    def rows(self, places: ArrayLike | None = None) -> Rows:
        """The rows at `places` (default: all), (n, dimension). Raises `UserError` naming an item without direction."""
        wanted = np.arange(len(self)) if places is None else np.asarray(places, dtype=np.int64)
        joined = np.empty((len(wanted), self.dimension), dtype=np.float32)
        for start in range(0, len(wanted), _BATCH):
            piece = wanted[start : start + _BATCH]
            names = [self.ids[place] for place in piece]
            parts = [store.rows(own[piece]) for store, own in zip(self.stores, self._places, strict=True)]
            joined[start : start + _BATCH] = self.join(parts, names)
        return joined

    def batches(self, places: ArrayLike | None = None) -> Iterator[Rows]:
        """The rows at `places` (default: all) in their order, 8,192 at a time."""
        wanted = np.arange(len(self)) if places is None else np.asarray(places, dtype=np.int64)
        for start in range(0, len(wanted), _BATCH):
            yield self.rows(wanted[start : start + _BATCH])

    def join(self, parts: Sequence[Rows | None], names: Sequence[str]) -> Rows:
        """Features (n, d of the store) of each store as rows (n, dimension); None where a query has no such part.

        A query without one part is compared by the other alone: its cosines are multiplied by that store's weight.
        """
        joined = []
        for store, mean, weight, part in zip(self.stores, self.means, self.weights, parts, strict=True):
            if part is None:
                joined.append(np.zeros((len(names), *store.shape), np.float32))
            else:
                joined.append(sqrt(weight) * _unit(part, mean, names, store))
        return np.hstack(joined).astype(np.float32, copy=False)


def _shared_ids(stores: Sequence[FeatureStore]) -> list[str]:
    for store in stores:
        store.refuse_grids()
    first, *others = stores
    shared = [key for key in first.ids if all(key in other for other in others)]
    if not shared:
        paths = " and ".join(str(store.path) for store in stores)
        raise UserError(f"{paths}: expected features of the same items, found no id in both; embed one catalogue")
    return shared


def _mean(store: FeatureStore, places: NDArray[np.int64]) -> Rows:
    total = np.zeros(store.shape, np.float64)
    for start in range(0, len(places), _BATCH):
        total += store.rows(places[start : start + _BATCH]).sum(axis=0, dtype=np.float64)
    return np.asarray(total / len(places), dtype=np.float32)


def _unit(features: Rows, mean: Rows, names: Sequence[str], store: FeatureStore) -> Rows:
    """The features less the mean, with length one; a vector of zeros, or one equal to the mean, has no direction."""
    if features.shape[1:] != store.shape:
        raise UserError(
            f"{store.path}: expected a vector of {store.shape[0]} numbers, found {features.shape[1:]}; "
            "embed the query with the encoder of the store"
        )
    plain = np.linalg.norm(features, axis=1)
    centred = features - mean
    lengths = np.linalg.norm(centred, axis=1)
    without = (plain == 0) | (lengths <= _SMALLEST * np.maximum(plain, np.linalg.norm(mean)))
    if without.any():
        named = ", ".join(names[place] for place in np.flatnonzero(without)[:5])
        what, remedy = "equals the mean of all items (try --no-centre)", ""
        if (plain[without] == 0).any():
            what, remedy = "is all zeros", "embed again to leave out texts without a known word, or "
        raise UserError(
            f"{store.path}: the vector of {without.sum():,} items ({named}) {what}, so that it has no cosine; "
            f"{remedy}remove these items from the catalogue and embed it again"
        )
    return np.asarray(centred / lengths[:, None], dtype=np.float32)
