"""Clusters: what they are, and that a search of all of them is exact, whatever the items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from recommending import clustered

from metrics.common.errors import UserError
from recommend.items import clusters
from recommend.items.clusters import Clustering, ClusterSearch, cluster, one_cluster


def units(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


IDS, ROWS, GROUPS = clustered(40)
ROWS = units(ROWS)


@pytest.mark.parametrize("method", ["kmeans", "spectral"])
def test_groups_far_apart_are_clusters(method: clusters.ClusterMethod) -> None:
    made = cluster(ROWS, 4, method)
    assert len({(group, label) for group, label in zip(GROUPS, made.labels, strict=True)}) == 4
    assert made.sizes().tolist() == [10] * 4
    for number, mean in enumerate(made.centroids):
        assert_allclose(mean, ROWS[made.labels == number].mean(axis=0), atol=1e-6)
    distances = [np.square(row - made.centroids[label]).sum() for row, label in zip(ROWS, made.labels, strict=True)]
    assert made.inertia == pytest.approx(sum(distances), rel=1e-5)
    assert np.array_equal(cluster(ROWS, 4, method).labels, made.labels)


def test_spectral_clusters_of_a_sample_are_assigned_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "SPECTRAL_ROWS", 24)
    made = cluster(ROWS, 4, "spectral")
    assert "fitted on a sample of 24 items" in made.method
    assert made.sizes().tolist() == [10] * 4


def by_hand() -> Clustering:
    """Five rows on a circle: two in the first cluster, one alone, two in the third."""
    angles = np.radians([0, 10, 45, 90, 95])
    rows = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    labels = np.array([0, 0, 1, 2, 2])
    means = np.stack([rows[labels == label].mean(axis=0) for label in range(3)])
    return Clustering("by hand", means, labels, 0.0)


def test_a_query_looks_into_its_nearest_clusters_alone() -> None:
    angles = np.radians([0, 10, 45, 90, 95])
    rows = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    search = ClusterSearch(rows, by_hand(), 1)
    assert search.search(rows[0], 2).tolist() == [0, 1]
    assert (search.compared, search.widened) == (2, 0)
    two = ClusterSearch(rows, by_hand(), 2)
    assert two.search(rows[0], 3).tolist() == [0, 1, 2]
    assert (two.compared, two.widened) == (3, 0)


def test_a_cluster_of_one_item_takes_in_the_next() -> None:
    angles = np.radians([0, 10, 45, 90, 95])
    rows = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    search = ClusterSearch(rows, by_hand(), 1)
    found = search.search(rows[2], 2, lambda places: places == 2)
    assert found.tolist() == [1, 0]  # 35 and 45 degrees away; the cluster of these is nearer than 90 and 95
    assert (search.compared, search.widened) == (3, 1)
    assert search.search(rows[2], 4, lambda places: places == 2).tolist() == [1, 0, 3, 4]
    assert search.widened == 2


@given(st.integers(0, 10_000), st.integers(3, 30), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_a_search_of_all_clusters_is_exact(seed: int, count: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    rows = units(draw.normal(size=(count, 3)))
    k = min(k, count)
    labels = draw.integers(0, 3, count)
    kept, labels = np.unique(labels, return_inverse=True)
    means = np.stack([rows[labels == label].mean(axis=0) for label in range(len(kept))])
    made = Clustering("drawn", means, labels, 0.0)
    query = units(draw.normal(size=(1, 3)))[0]
    exact = np.argsort(-(rows @ query), kind="stable")[:k]
    for search in (ClusterSearch(rows, made, len(kept)), ClusterSearch(rows, one_cluster(rows))):
        assert_allclose(rows[search.search(query, k)] @ query, rows[exact] @ query, atol=1e-6)


@pytest.mark.parametrize("k", [0, 41])
def test_impossible_numbers_are_refused(k: int) -> None:
    with pytest.raises(UserError, match=f"--k {k}: kmeans makes 1 to 40 clusters of 40 items"):
        cluster(ROWS, k)
    with pytest.raises(UserError, match="expected 1 to 3"):
        ClusterSearch(ROWS[:5], by_hand(), 4)


def test_as_many_clusters_as_items_and_equal_items() -> None:
    assert cluster(ROWS, 40).sizes().tolist() == [1] * 40
    equal = np.tile(ROWS[:1], (6, 1))
    assert cluster(equal, 3).sizes().sum() == 6
