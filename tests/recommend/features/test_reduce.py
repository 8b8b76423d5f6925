"""Fewer dimensions: equal to scikit-learn's on all items, near to it by landmarks, samples that say so, bad input."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_stores import write_store
from numpy.testing import assert_allclose, assert_array_equal
from recommending import clustered, done, items_table, refused_by
from sklearn.decomposition import PCA, KernelPCA

from finetune.data.feature_cache import FeatureStore
from finetune.embedding.named import encoder_of
from metrics.common.errors import UserError
from recommend.features import reducers
from recommend.features.fusion import UnitVectors
from recommend.features.reduce import Reduced, reduce_vectors

IDS, ROWS, GROUPS = clustered(40)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "photos", IDS, ROWS, dtype="float32")


def vectors(store: Path) -> UnitVectors:
    return UnitVectors([FeatureStore.open(store)])


def equal_but_for_signs(ours: Any, theirs: Any, tolerance: float = 2e-4) -> None:
    signs = np.sign((ours * theirs).sum(axis=0))
    assert_allclose(ours * signs, theirs, atol=tolerance)


def test_pca_equals_scikit_learn_s(store: Path) -> None:
    units = vectors(store)
    reduced = reduce_vectors(units, "pca", 3)
    model = PCA(3, svd_solver="full").fit(units.rows().astype(np.float64))
    equal_but_for_signs(reduced.rows, model.transform(units.rows()))
    assert reduced.variance is not None
    assert_allclose(reduced.variance[:3], model.explained_variance_ratio_, rtol=1e-4)
    assert reduced.variance.sum() == pytest.approx(1)


@pytest.mark.parametrize("kernel", ["rbf", "cosine"])
def test_kernel_pca_on_all_rows_equals_scikit_learn_s(store: Path, kernel: Any) -> None:
    units = vectors(store)
    gamma = 0.7 if kernel == "rbf" else None
    reduced = reduce_vectors(units, "kernel-pca", 3, kernel=kernel, gamma=gamma)
    theirs = KernelPCA(3, kernel=kernel, gamma=gamma, eigen_solver="dense").fit_transform(units.rows())
    equal_but_for_signs(reduced.rows, theirs)
    assert f"{kernel} kernel" in reduced.method
    assert "exact" in reduced.method


def test_above_the_bound_landmarks_come_near(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = reduce_vectors(vectors(store), "kernel-pca", 3).rows
    monkeypatch.setattr(reducers, "EXACT_KERNEL", 30)
    monkeypatch.setattr(reducers, "LANDMARKS", 20)
    reduced = reduce_vectors(vectors(store), "kernel-pca", 3)
    assert "Nystroem with 20 landmarks" in reduced.method
    equal_but_for_signs(reduced.rows, exact, tolerance=0.15)


def test_as_many_dimensions_as_explain_the_variance(store: Path, tmp_path: Path) -> None:
    done("reduce", store, "--variance", 0.9, "--out", tmp_path / "out", "--elbow", tmp_path / "elbow.html")
    reduced = FeatureStore.open(tmp_path / "out")
    shares = PCA().fit(vectors(store).rows()).explained_variance_ratio_.cumsum()
    assert reduced.shape == (int(np.argmax(shares >= 0.9)) + 1,)
    page = (tmp_path / "elbow.html").read_text()
    assert f'<td dir="auto">{shares[reduced.shape[0] - 1]:.1%}</td>' in page


def test_the_new_store_says_what_was_done(store: Path, tmp_path: Path) -> None:
    printed = done("reduce", store, "--method", "kernel-pca", "--dimensions", 2, "--out", tmp_path / "out")
    about = json.loads((tmp_path / "out" / "features.json").read_text())["about"]
    assert about["pooling"].startswith("pooled; kernel PCA 2, rbf kernel, gamma ")
    assert "fitted on all 40 items" in printed
    assert FeatureStore.open(tmp_path / "out").ids == IDS


def share_of_group(reduced: Reduced, groups: Sequence[str]) -> float:
    """How many items' nearest other one is of their group."""
    distances = np.square(reduced.rows[:, None] - reduced.rows).sum(axis=2) + np.diag(np.full(len(reduced.rows), 1e9))
    return float(np.mean([groups[row] == groups[near] for row, near in enumerate(distances.argmin(axis=1))]))


@pytest.mark.parametrize(("method", "dimensions"), [("isomap", 3), ("tsne", 2)])
def test_what_is_fitted_on_a_sample_is_applied_to_all(
    store: Path, monkeypatch: pytest.MonkeyPatch, method: Any, dimensions: int
) -> None:
    monkeypatch.setitem(reducers.FIT_ON, method, 30)
    reduced = reduce_vectors(vectors(store), method, dimensions)
    assert "fitted on a sample of 30 items" in reduced.method
    assert reduced.ids == IDS
    assert share_of_group(reduced, GROUPS) > 0.9  # by chance 0.23
    assert_array_equal(reduce_vectors(vectors(store), method, dimensions).rows, reduced.rows)


def test_umap_is_fitted_on_a_sample_and_applied_to_all(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As plain Python: to compile it would take far longer than these items do."""
    if find_spec("umap") is None:
        pytest.skip("the extra `umap` is not installed")
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setitem(reducers.FIT_ON, "umap", 20)
    reduced = reduce_vectors(vectors(store), "umap", 2)
    assert reduced.method.startswith("UMAP 2, 15 neighbours")
    assert "fitted on a sample of 20 items" in reduced.method
    assert reduced.ids == IDS
    assert share_of_group(reduced, GROUPS) > 0.6  # by chance 0.23


def test_t_sne_above_two_dimensions_keeps_its_sample(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reducers, "EXACT_TSNE", 30)
    printed = done("reduce", store, "--method", "tsne", "--dimensions", 3, "--out", tmp_path / "out")
    assert "tsne maps no more than it is fitted on: 30 of 40 items are kept" in printed
    kept = FeatureStore.open(tmp_path / "out")
    assert len(kept) == 30
    assert set(kept.ids) < set(IDS)
    assert "without a transform" in kept.about.pooling


def test_maps_are_coloured_by_columns(store: Path, tmp_path: Path) -> None:
    kinds = ["<b>coat</b>" if group == "g0" else group for group in GROUPS]
    many = [f"type {place % 15}" for place in range(40)]
    table = items_table(tmp_path / "items.parquet", IDS, IDS, product_group_name=kinds, product_type_name=many)
    printed = done("map-photos", store, "--items", table, "--out", tmp_path / "map.html")
    assert "kernel PCA 2" in printed
    assert "t-SNE 2" in printed
    page = (tmp_path / "map.html").read_text()
    assert page.count("<circle") == 2 * 2 * 40
    assert "&lt;b&gt;coat&lt;/b&gt; (10)" in page
    assert "<b>coat" not in page
    assert "others (6)" in page  # 15 types, of which the 12 most frequent have a colour; three have two items


def test_bad_input_is_refused(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def message(*arguments: Any) -> str:
        text = refused_by("reduce", *arguments, "--out", out)
        assert not out.exists()
        return text

    assert "--dimensions 9: expected 1 to 8" in message(store, "--dimensions", 9)
    assert "--dimensions and --variance" in message(store, "--dimensions", 2, "--variance", 0.5)
    assert "--variance: tsne explains no variance" in message(store, "--method", "tsne", "--variance", 0.5)
    assert "--gamma: pca takes none" in message(store, "--gamma", 7)
    assert "a cosine kernel takes none" in message(store, "--method", "kernel-pca", "--kernel", "cosine", "--gamma", 7)
    assert "--elbow: isomap" in message(store, "--method", "isomap", "--elbow", tmp_path / "elbow.html")
    assert "isomap needs at least 41 items" in message(store, "--method", "isomap", "--dimensions", 39)
    assert "isomap finds fewer among 40 items" in message(store, "--method", "isomap", "--dimensions", 38)
    grids = write_store(tmp_path / "grids", IDS, ROWS.reshape(40, 2, 4))
    assert "expected a vector an item" in message(grids)
    assert "exists already" in refused_by("reduce", store, "--out", store)
    table = items_table(tmp_path / "items.parquet", IDS, IDS, kind=GROUPS)
    arguments = ("map-photos", store, "--items", table, "--out", out)
    assert "name yours by --colour-by" in refused_by(*arguments)
    assert "--method lda: expected one of pca" in refused_by(*arguments, "--method", "lda", "--colour-by", "kind")


def test_other_people_s_pages_stay(store: Path, tmp_path: Path) -> None:
    table = items_table(tmp_path / "items.parquet", IDS, IDS, kind=GROUPS)
    theirs, out = tmp_path / "theirs.html", tmp_path / "out"
    theirs.write_text("<h1>Map of photos</h1>")
    draw = ("map-photos", store, "--items", table, "--colour-by", "kind", "--method", "pca", "--out")
    elbow = ("reduce", store, "--dimensions", 2, "--out", out, "--elbow")
    assert "theirs.html: exists and is no map of photos" in refused_by(*draw, theirs)
    assert "theirs.html: exists and is no page of an elbow; give another --elbow" in refused_by(*elbow, theirs)
    assert theirs.read_text() == "<h1>Map of photos</h1>"
    assert "to be a folder that can be written to" in refused_by(*elbow, tmp_path / "none" / "elbow.html")
    assert not out.exists()
    for _ in range(2):  # ours is replaced
        done(*draw, tmp_path / "map.html")


def test_a_reduced_store_encodes_no_new_photo(store: Path, tmp_path: Path) -> None:
    done("reduce", store, "--dimensions", 2, "--out", tmp_path / "out")
    with pytest.raises(UserError, match=r"out: is reduced \(PCA 2; fitted on all 40 items\).*search it by --id"):
        encoder_of(FeatureStore.open(tmp_path / "out"))


def test_isomap_of_many_items_is_the_same_each_time() -> None:
    rows = np.random.default_rng(1).normal(size=(210, 8)).astype(np.float32)
    first, second = (reducers.fit("isomap", rows, 2).embedded for _ in range(2))
    assert_array_equal(first, second)
