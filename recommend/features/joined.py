"""A store of joined vectors: the unit vectors of two stores, as `fusion` joins them, written as a store of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from recommend.features.fusion import UnitVectors

_BATCH = 8192


def write_joined(vectors: UnitVectors, centred: bool, path: Path) -> None:
    """Write the rows (n, d1 + d2) of two stores' vectors, centred or not, as float32; its JSON names both stores.

    Raises `UserError` if `path` exists or cannot be written, or an item has no direction.
    """
    for _ in vectors.batches():
        pass  # an item without direction is found before anything is written
    with FeatureWriter(path, _about(vectors, centred), (vectors.dimension,), "float32") as writer:
        for start in range(len(writer.ids), len(vectors), _BATCH):
            ids = vectors.ids[start : start + _BATCH]
            writer.append(ids, vectors.rows(np.arange(start, start + len(ids))))
        writer.finish()


def _about(vectors: UnitVectors, centred: bool) -> About:
    """The first store's, with both values where the stores differ."""
    first, second = (store.about for store in vectors.stores)
    shares = " + ".join(
        f"{weight:g} of {about.encoder_shown} {about.pooling}"
        for weight, about in zip(vectors.weights, (first, second), strict=True)
    )
    return replace(
        first,
        encoder=f"{first.encoder} + {second.encoder}",
        reads="both",
        revision=_both(first.revision, second.revision),
        weights=_both(first.weights, second.weights),
        adapter=_both(first.adapter, second.adapter),
        pooling=f"{shares} of the cosine, {'centred' if centred else 'not centred'}",
        resolution=first.resolution or second.resolution,
        processor=_both(first.processor, second.processor),
        text=_both(first.text, second.text),
        catalogue=_both(first.catalogue, second.catalogue),
        source=_both(*(store.digest[:16] for store in vectors.stores)),
        items=len(vectors),
        note=_both(first.note, second.note),
        folder=first.folder or second.folder,
    )


def _both(one: str | None, other: str | None) -> str | None:
    return " + ".join(dict.fromkeys(value for value in (one, other) if value)) or None
