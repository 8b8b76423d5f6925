"""Principal components of a store's rows, fitted while they are read: memory does not grow with their number."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import IncrementalPCA
from sklearn.utils import gen_batches

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import REMEDY, About
from finetune.data.feature_writer import FeatureWriter
from finetune.data.readers import read_arrays
from finetune.models.encoders.base import Encoder
from metrics.common.errors import UserError

PCA = "pca.npz"
_BATCH = 1024  # rows; more than the components, as scikit-learn wants

Matrix = NDArray[np.float32]


class Projected(Encoder):
    """An encoder whose rows are laid end to end and reduced by the components of a store."""

    def __init__(self, encoder: Encoder, mean: NDArray[Any], components: NDArray[Any]) -> None:
        """Take mean (d,) and components (k, d)."""
        self.name, self.reads, self.side, self.shape = encoder.name, encoder.reads, encoder.side, (len(components),)
        self._encoder = encoder
        self.mean, self.components = mean.astype(np.float32), components.astype(np.float32)

    @classmethod
    def of(cls, encoder: Encoder, folder: Path) -> "Projected":
        """Read the components of the store `folder`. Raises `UserError` if they are damaged."""
        arrays = read_arrays(folder / PCA, REMEDY)
        mean, components = (np.asarray(arrays.get(name, ())) for name in ("mean", "components"))
        if components.ndim != 2 or mean.shape != components.shape[1:] or mean.shape != (prod(encoder.shape),):
            raise UserError(
                f"{folder / PCA}: expected a mean (d,) and components (k, d) of the encoder, found {mean.shape} and "
                f"{components.shape}; {REMEDY}"
            )
        return cls(encoder, mean, components)

    def pixels(self, photo: Image.Image) -> Any:
        """As the encoder's."""
        return self._encoder.pixels(photo)

    def encode_pixels(self, pixels: Sequence[Any]) -> Matrix:
        """Rows (n, k)."""
        return self.project(self._encoder.encode_pixels(pixels))

    def encode_texts(self, texts: Sequence[str]) -> Matrix:
        """Rows (n, k)."""
        return self.project(self._encoder.encode_texts(texts))

    def project(self, rows: Matrix) -> Matrix:
        """Rows of any shape as (n, k)."""
        reduced = (rows.reshape(len(rows), -1) - self.mean) @ self.components.T
        return np.asarray(reduced, dtype=np.float32)


def reduce_store(store: FeatureStore, encoder: Encoder, dimensions: int, out: Path) -> FeatureStore:
    """Write the store `out` with the rows of `store` reduced to `dimensions`, and the components beside them.

    Raises `UserError` as `check_dimensions`.
    """
    check_dimensions(dimensions, len(store), store.shape)
    fitted = _fit(store, dimensions)
    projected = Projected(encoder, fitted.mean_, fitted.components_)
    kept = f"{dimensions} principal components keep {fitted.explained_variance_ratio_.sum():.1%} of the variance"
    about = replace(reduced_about(store.about, dimensions), note="; ".join(filter(None, (store.about.note, kept))))
    with FeatureWriter(out, about, (dimensions,), store.dtype) as writer:
        for some in gen_batches(len(store), _BATCH):
            if store.ids[some.start] not in writer:
                rows = store.rows(np.arange(some.start, some.stop))
                writer.append(store.ids[some], projected.project(rows))
        np.savez(writer.draft / PCA, mean=projected.mean, components=projected.components)
        writer.finish()
    return FeatureStore.open(out)


def reduced_about(about: About, dimensions: int) -> About:
    """What the features that `about` describes are once they are reduced."""
    return replace(about, pooling=f"{about.pooling}, pca {dimensions}")


def check_dimensions(dimensions: int, items: int, shape: tuple[int, ...]) -> None:
    """Raise `UserError` for more `dimensions` than vary: one less than the items, and as many as a row has numbers."""
    width = prod(shape)
    if dimensions > min(items - 1, width):
        raise UserError(
            f"--pca {dimensions}: expected fewer than there are items ({items:,}) and at most the numbers of each "
            f"({width:,})"
        )


def _fit(store: FeatureStore, dimensions: int) -> Any:
    pca = IncrementalPCA(dimensions)
    for some in gen_batches(len(store), max(_BATCH, dimensions), min_batch_size=dimensions):
        rows = store.rows(np.arange(some.start, some.stop))
        pca.partial_fit(rows.reshape(len(rows), -1))
    return pca
