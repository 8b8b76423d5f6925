"""The most similar training photos of each test photo: exact, by cosine, in memory that does not grow with training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.records.captions import CaptionRecord

_QUERIES, _ROWS = 2048, 8192
Places = NDArray[np.int64]
Vectors = NDArray[np.float32]


def nearest_items(
    store: FeatureStore, train: Sequence[CaptionRecord], items: Sequence[CaptionRecord], k: int
) -> list[list[int]]:
    """The places in `train` of the k items (fewer if there are fewer) whose photos are most like each item's photo.

    `store` has a row for each photo, by its digest. The nearest comes first; of equally near ones, such as items with
    the same photo, the one that comes first in training. `train` and `items` have no item in common.
    """
    by_photo: dict[str | None, list[int]] = {}
    for place, record in enumerate(train):
        by_photo.setdefault(record.photo_digest, []).append(place)
    asked = list(dict.fromkeys(item.photo_digest for item in items))
    near = nearest_rows(store, _places(store, asked), _places(store, list(by_photo)), k)
    groups = list(by_photo.values())
    found = {
        photo: [place for row in rows for place in groups[row]][:k] for photo, rows in zip(asked, near, strict=True)
    }
    return [found[item.photo_digest] for item in items]


def nearest_rows(store: FeatureStore, queries: Places, rows: Places, k: int) -> Places:
    """Positions (q, k) in `rows` of the highest cosines with each of `queries`, highest first, equal ones in order.

    Both are places in the store, (q,) and (n,); there are n columns if n < k. A vector of zeros is like no other: its
    cosines are 0.
    """
    blocks = [queries[start : start + _QUERIES] for start in range(0, len(queries), _QUERIES)]
    return np.concatenate([_nearest(store, block, rows, min(k, len(rows))) for block in blocks])


def _nearest(store: FeatureStore, queries: Places, rows: Places, k: int) -> Places:
    asked = _unit(store.rows(queries))
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    found = np.zeros((len(queries), k), dtype=np.int64)
    for start in range(0, len(rows), _ROWS):
        cosines = asked @ _unit(store.rows(rows[start : start + _ROWS])).T
        values = np.concatenate([best, cosines], axis=1)
        kept = _highest(values, k)
        best = np.take_along_axis(values, kept, axis=1)
        earlier = np.take_along_axis(found, np.minimum(kept, k - 1), axis=1)
        found = np.where(kept < k, earlier, start + kept - k)
    return found


def _highest(values: Vectors, k: int) -> Places:
    """The columns (q, k) of each row's highest values, highest first, equal ones in order."""
    bounds = np.partition(values, -k, axis=1)[:, -k]
    owners, columns = np.nonzero(values >= bounds[:, None])
    order = np.lexsort((columns, -values[owners, columns], owners))
    starts = np.searchsorted(owners, np.arange(len(values)))
    return np.asarray(columns[order[starts[:, None] + np.arange(k)]], dtype=np.int64)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _places(store: FeatureStore, photos: Sequence[str | None]) -> Places:
    return store.places([str(photo) for photo in photos])
