"""Clusters of a store, and how many to make: the elbow of their inertia, and Precision@K against k for each group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommend.evaluation.attributes import MEAN
from recommend.evaluation.trials import MethodRow, Run, recentred
from recommend.features.fusion import Rows, UnitVectors
from recommend.features.reduce import reduce_vectors
from recommend.items.clusters import ClusterMethod, ClusterSearch, cluster


@dataclass(frozen=True)
class Tried:
    """A number k of clusters: how many of them have items, the sum of squared distances to the means, the size of the
    smallest, and what a search within them finds."""

    k: int
    clusters: int
    inertia: float
    smallest: int
    row: MethodRow | None


@dataclass(frozen=True)
class ClusterStudy:
    """Every k that was tried.

    Attributes:
        elbow: the k at which the curve of the inertia bends most.
        best: the k of the highest mean P@K; None if nothing was searched.
    """

    tried: Sequence[Tried]
    elbow: int
    best: int | None


def cluster_rows(vectors: UnitVectors, dimensions: int) -> tuple[Rows, str]:
    """The rows to cluster, and what they are: vectors of more than `dimensions` numbers by kernel PCA first."""
    if vectors.dimension <= dimensions:
        return vectors.rows(), f"vectors of {vectors.dimension} numbers ({vectors.stores[0].about.pooling})"
    reduced = reduce_vectors(vectors, "kernel-pca", dimensions)
    return recentred(reduced.rows), reduced.method


def study(rows: Rows, ks: Sequence[int], method: ClusterMethod, probes: int, run: Run | None) -> ClusterStudy:
    """Make clusters for each of `ks`, ascending; with `run` also search within the `probes` nearest of them.

    Raises `UserError` if a k is impossible, or smaller than `probes`.
    """
    tried = []
    for k in ks:
        made = cluster(rows, k, method)
        row = run.measure(made.method, rows, ClusterSearch(rows, made, probes)) if run else None
        tried.append(Tried(k, len(made.centroids), made.inertia, int(made.sizes().min()), row))
    values = [one.row.attributes[MEAN].value or 0.0 for one in tried if one.row]
    best = tried[int(np.argmax(values))].k if values else None
    return ClusterStudy(tried, elbow(ks, [one.inertia for one in tried]), best)


def elbow(ks: Sequence[int], inertia: Sequence[float]) -> int:
    """The k whose point is farthest below the line from the first point to the last, both axes scaled to 0 to 1.

    Source: Satopää et al., Finding a "Kneedle" in a Haystack, 2011, without its smoothing.
    """
    x, y = np.asarray(ks, dtype=np.float64), np.asarray(inertia, dtype=np.float64)
    if len(ks) < 3 or np.ptp(y) == 0:
        return ks[0]
    below = (1 - (x - x[0]) / (x[-1] - x[0])) - (y - y[-1]) / (y[0] - y[-1])
    return ks[int(np.argmax(below))]
