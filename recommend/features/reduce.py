"""A store of features with fewer dimensions: fitted on a sample of its items, applied to all, written as a store."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.data.feature_writer import FeatureWriter
from recommend.features.fusion import Rows, UnitVectors
from recommend.features.reducers import SEED, Fitted, Floats, Kernel, Method, fit, rows_to_fit


@dataclass(frozen=True)
class Reduced:
    """The items of a store in fewer dimensions.

    Attributes:
        ids: of the m items; fewer than the store's if the method cannot map more than it was fitted on.
        rows: (m, r).
        method: what was done, and on how many items it was fitted.
        variance: the share of the variance of each dimension, also of those left out; None if the method has none.
    """

    ids: list[str]
    rows: Rows
    method: str
    variance: Floats | None


def reduce_vectors(
    vectors: UnitVectors,
    method: Method,
    dimensions: int | None = None,
    variance: float | None = None,
    kernel: Kernel = "rbf",
    gamma: float | None = None,
) -> Reduced:
    """Reduce unit vectors to `dimensions`, or to as many as explain the share `variance` of their variance.

    Raises `UserError` as `reducers.fit`.
    """
    sample = draw_sample(len(vectors), rows_to_fit(method, dimensions))
    rows = vectors.rows(sample)
    fitted = fit(method, rows, dimensions, variance, kernel, gamma)
    on = "all" if len(sample) == len(vectors) else "a sample of"
    title = f"{fitted.method}; fitted on {on} {len(sample):,} items"
    if fitted.transform is None and fitted.embedded is not None:
        ids = [vectors.ids[place] for place in sample]
        return Reduced(ids, fitted.embedded, title, fitted.variance)
    return Reduced(vectors.ids, _all_rows(vectors, fitted, sample), title, fitted.variance)


def draw_sample(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` places, sorted, drawn with a fixed seed."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).permutation(count)[:most])


def _all_rows(vectors: UnitVectors, fitted: Fitted, sample: np.ndarray) -> Rows:
    """Every row by `transform`, but where the method has put the rows that it was fitted on, these places."""
    rest = np.arange(len(vectors)) if fitted.embedded is None else np.setdiff1d(np.arange(len(vectors)), sample)
    parts = [fitted.transform(batch) for batch in vectors.batches(rest)] if fitted.transform else []
    width = (fitted.embedded if fitted.embedded is not None else parts[0]).shape[1]
    rows = np.empty((len(vectors), width), dtype=np.float32)
    if len(rest):
        rows[rest] = np.concatenate(parts)
    if fitted.embedded is not None:
        rows[sample] = fitted.embedded
    return rows


def write_reduced(reduced: Reduced, vectors: UnitVectors, path: Path) -> None:
    """Write a store, whose JSON says what was done. Raises `UserError` if `path` exists or cannot be written."""
    about = vectors.stores[0].about
    about = replace(about, pooling=f"{about.pooling}; {reduced.method}", items=len(reduced.ids))
    with FeatureWriter(path, about, reduced.rows.shape[1:], "float32") as writer:
        if not writer.ids:
            writer.append(reduced.ids, reduced.rows)
        writer.finish()
