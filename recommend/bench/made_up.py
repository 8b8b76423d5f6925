"""Made-up features of the size of whole catalogues, as stores on disk."""

from pathlib import Path

import numpy as np

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter

_BATCH = 1_000
_KINDS = 300  # of item, about as many as H&M has product types
_SPREAD = 1.0  # of the items of a kind, relative to the distance between kinds
_SEED = 42


def made_up_store(path: Path, rows: int, dimensions: int) -> FeatureStore:
    """Write a store (float16) of items that scatter around 300 kinds; the same rows each time."""
    draw = np.random.default_rng(_SEED)
    kinds = draw.standard_normal((_KINDS, dimensions), dtype=np.float32)
    with FeatureWriter(path, About("made-up", "photo"), (dimensions,)) as writer:
        for start in range(0, rows, _BATCH):
            count = min(_BATCH, rows - start)
            scatter = draw.standard_normal((count, dimensions), dtype=np.float32)
            features = kinds[draw.integers(_KINDS, size=count)] + _SPREAD * scatter
            writer.append([str(start + number) for number in range(count)], features)
        writer.finish()
    return FeatureStore.open(path)
