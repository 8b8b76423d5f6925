"""The training items whose photos are most like each test photo: exact, by cosine, in memory that stays bounded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.photos.hdf5 import hdf5_row
from metrics.records.captions import CaptionRecord

_QUERIES, _ROWS = 2048, 8192
Places = NDArray[np.int64]
Vectors = NDArray[np.float32]


def nearest_items(
    store: FeatureStore, train: Sequence[CaptionRecord], items: Sequence[CaptionRecord], k: int
) -> list[list[int]]:
    """The places in `train` of the k items (fewer if there are fewer) whose photos are most like each item's photo.

    Of an item with several photos (FACAD's) the most similar one counts, and the place is its first one's; their
    captions are the same. `store` has a row for each photo, by its digest. The nearest comes first; of equally near
    ones, such as items with the same photo, the one that comes first in training. `train` and `items` have no item in
    common.
    """
    firsts: dict[str, int] = {}
    photos: dict[str, dict[str | None, None]] = {}
    for place, record in enumerate(train):
        item = _item(record)
        firsts.setdefault(item, place)
        photos.setdefault(item, {})[record.photo_digest] = None
    owners = np.repeat(np.arange(len(photos)), [len(own) for own in photos.values()])
    rows = _places(store, [photo for own in photos.values() for photo in own])
    asked = list(dict.fromkeys(item.photo_digest for item in items))
    near = nearest_owners(store, _places(store, asked), rows, owners, k)
    found = dict(zip(asked, np.array(list(firsts.values()))[near].tolist(), strict=True))
    return [found[item.photo_digest] for item in items]


def _item(record: CaptionRecord) -> str:
    """A product in FACAD's layout, known by its rows of HDF5 files; elsewhere a product's items are its colours."""
    is_product = hdf5_row(record.image or "") and record.product_id
    return f"product {record.product_id}" if is_product else f"id {record.id}"


def nearest_owners(store: FeatureStore, queries: Places, rows: Places, owners: Places, k: int) -> Places:
    """The k owners (q, k) of the rows most like each of `queries`, highest cosine first, equal ones in order.

    An owner's cosine is the highest of its rows'. `queries` (q,) and `rows` (n,) are places in the store, `owners` (n,)
    numbers from 0 that ascend; there are as many columns as owners if these are fewer than k. A vector of zeros is like
    no other: its cosines are 0.
    """
    k = min(k, len(np.unique(owners)))
    blocks = [queries[start : start + _QUERIES] for start in range(0, len(queries), _QUERIES)]
    return np.concatenate([_nearest(store, block, rows, owners, k) for block in blocks])


def _nearest(store: FeatureStore, queries: Places, rows: Places, owners: Places, k: int) -> Places:
    asked = _unit(store.rows(queries))
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    found = np.full((len(queries), k), -1, dtype=np.int64)
    for start in range(0, len(rows), _ROWS):
        cosines = asked @ _unit(store.rows(rows[start : start + _ROWS])).T
        here, firsts = np.unique(owners[start : start + _ROWS], return_index=True)
        highest = np.maximum.reduceat(cosines, firsts, axis=1)
        begun = found == here[0]  # its other rows were in the block before
        highest[:, 0] = np.maximum(highest[:, 0], np.where(begun, best, -np.inf).max(axis=1))
        values = np.concatenate([np.where(begun, -np.inf, best), highest], axis=1)
        kept = _highest(values, k)
        best = np.take_along_axis(values, kept, axis=1)
        earlier = np.take_along_axis(found, np.minimum(kept, k - 1), axis=1)
        found = np.where(kept < k, earlier, here[np.maximum(kept - k, 0)])
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
