"""Clusters of items, and search within the clusters nearest to a query.

k-means runs on all rows by faiss; spectral clustering (Ng, Jordan and Weiss 2001) on a sample by scikit-learn, after
which every item is assigned to the nearest mean. Like `index`, this module imports faiss only when it is needed.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from metrics.common.errors import UserError
from recommend.features.fusion import Rows
from recommend.items.exact import Places

ClusterMethod = Literal["kmeans", "spectral"]
SEED = 42
SPECTRAL_ROWS = 2000
_NEIGHBOURS = 10
_ITERATIONS = 25


@dataclass(frozen=True)
class Clustering:
    """k clusters of n rows.

    Attributes:
        method: how they were made, for tables.
        centroids: (k, d) their means.
        labels: (n,) the cluster of each row.
        inertia: the sum of the squared distances of the rows to their cluster's mean.
    """

    method: str
    centroids: Rows
    labels: Places
    inertia: float

    def sizes(self) -> Places:
        """How many rows each cluster has, (k,)."""
        return np.bincount(self.labels, minlength=len(self.centroids))


def cluster(rows: Rows, k: int, method: ClusterMethod = "kmeans") -> Clustering:
    """Cluster unit vectors (n, d). The same rows give the same clusters.

    Raises `UserError` if k is not 1 to n, or 2 to n - 1 of the rows that spectral clustering looks at.
    """
    most = len(rows) if method == "kmeans" else min(SPECTRAL_ROWS, len(rows)) - 1
    least = 1 if method == "kmeans" else 2
    if not least <= k <= most:
        raise UserError(f"--k {k}: {method} makes {least} to {most:,} clusters of {len(rows):,} items")
    title, centroids = {"kmeans": _kmeans, "spectral": _spectral}[method](rows, k)
    labels = nearest_centroids(rows, centroids, 1)[:, 0]
    centroids, labels = _without_empty(rows, centroids, labels)
    distances = np.square(rows - centroids[labels], dtype=np.float64).sum()
    return Clustering(title, centroids, labels, float(distances))


def nearest_centroids(rows: Rows, centroids: Rows, probes: int) -> Places:
    """The `probes` clusters (n, probes) whose means are nearest to each row, the nearest first."""
    distances = np.square(centroids).sum(axis=1) - 2 * rows @ centroids.T
    return np.argsort(distances, axis=1, kind="stable")[:, :probes]


def _kmeans(rows: Rows, k: int) -> tuple[str, Rows]:
    import faiss  # noqa: PLC0415

    model = faiss.Kmeans(
        rows.shape[1], k, niter=_ITERATIONS, seed=SEED, min_points_per_centroid=1, max_points_per_centroid=10**7
    )
    model.train(np.ascontiguousarray(rows))
    return f"k-means {k}", np.asarray(model.centroids, dtype=np.float32)


def _spectral(rows: Rows, k: int) -> tuple[str, Rows]:
    from sklearn.cluster import SpectralClustering  # noqa: PLC0415

    chosen = np.random.default_rng(SEED).permutation(len(rows))[:SPECTRAL_ROWS]
    sample = rows[np.sort(chosen)]
    model = SpectralClustering(
        k, affinity="nearest_neighbors", n_neighbors=min(_NEIGHBOURS, len(sample)), random_state=SEED
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        labels = model.fit_predict(sample)
    parts = any("not fully connected" in str(one.message) for one in told)
    centroids = np.stack([sample[labels == label].mean(axis=0) for label in np.unique(labels)])
    on = "all" if len(sample) == len(rows) else "a sample of"
    apart = ", whose graph is not connected" if parts else ""
    return f"spectral {k}, fitted on {on} {len(sample):,} items{apart}", centroids


def _without_empty(rows: Rows, centroids: Rows, labels: Places) -> tuple[Rows, Places]:
    """Drop clusters that no row is nearest to, and make every centroid the mean of its rows."""
    kept, labels = np.unique(labels, return_inverse=True)
    means = [rows[labels == number].mean(axis=0, dtype=np.float64) for number in range(len(kept))]
    return np.asarray(means, dtype=np.float32), labels.astype(np.int64)


class ClusterSearch:
    """Search by dot product within the `probes` clusters nearest to a query, or as many more as k items need.

    Attributes:
        widened: how many queries have needed further clusters so far.
        compared: how many rows they were compared with so far.
    """

    def __init__(self, rows: Rows, clustering: Clustering, probes: int = 1) -> None:
        if not 1 <= probes <= len(clustering.centroids):
            raise UserError(f"--nprobe {probes}: expected 1 to {len(clustering.centroids)}, the number of clusters")
        self.rows, self.centroids, self.probes = rows, clustering.centroids, probes
        order = np.argsort(clustering.labels, kind="stable")
        self.members = np.split(order, np.cumsum(clustering.sizes())[:-1])
        self.blocks = [rows] if len(self.members) == 1 else [rows[places] for places in self.members]
        self.widened = self.compared = 0

    def search(self, query: Rows, k: int, hide: Callable[[Places], np.ndarray] | None = None) -> Places:
        """The places of the k best rows for one query (d,), best first; `hide` tells which places do not count."""
        places: list[Places] = []
        scores: list[Rows] = []
        found = 0
        for number, near in enumerate(nearest_centroids(query[None], self.centroids, len(self.centroids))[0]):
            if number >= self.probes and found >= k:
                break
            self.widened += number == self.probes
            members, similarity = self.members[near], self.blocks[near] @ query
            self.compared += len(members)
            if hide is not None:
                shown = ~hide(members)
                members, similarity = members[shown], similarity[shown]
            places.append(members)
            scores.append(similarity)
            found += len(members)
        return _best(np.concatenate(places), np.concatenate(scores), k)


def _best(places: Places, scores: Rows, k: int) -> Places:
    """The places of the k best scores, best first, equal ones in their order; all if there are fewer."""
    if len(places) > k:
        kept = scores >= np.partition(scores, -k)[-k]
        places, scores = places[kept], scores[kept]
    return places[np.lexsort((places, -scores))[:k]]


def one_cluster(rows: Rows) -> Clustering:
    """All rows as one cluster, within which a search is exact."""
    mean = rows.mean(axis=0, keepdims=True)
    return Clustering("exact", mean, np.zeros(len(rows), dtype=np.int64), float(np.square(rows - mean).sum()))
