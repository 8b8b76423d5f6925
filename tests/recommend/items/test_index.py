"""Indexes: the exact one equals brute force, those of faiss nearly, and say by how much."""

import numpy as np
import pytest
from feature_stores import write_store

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.features.fusion import UnitVectors
from recommend.items import index as indexes
from recommend.items.index import build_index, check_k, recall

COUNT = 600


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> UnitVectors:
    rows = np.random.default_rng(7).normal(size=(COUNT, 16))
    path = write_store(tmp_path_factory.mktemp("index") / "store", [str(n) for n in range(COUNT)], rows)
    return UnitVectors([FeatureStore.open(path)])


@pytest.mark.parametrize("kind", ["exact", "flat", "fp16", "ivf"])
def test_an_index_finds_the_nearest(vectors: UnitVectors, kind: str) -> None:
    rows = vectors.rows()
    if kind != "exact":
        pytest.importorskip("faiss")
    index = build_index(vectors, kind)
    assert index.kind == kind
    found = index.search(rows[:20], 5)
    expected = np.argsort(-(rows[:20] @ rows.T), axis=1)[:, :5]
    share = np.mean([np.isin(mine, theirs).mean() for mine, theirs in zip(found.places, expected, strict=True)])
    assert share == 1 if kind in ("exact", "flat") else share > 0.9
    scores = np.take_along_axis(rows[:20] @ rows.T, found.places, axis=1)
    assert np.allclose(found.scores, scores, atol=2e-3 if kind in ("fp16", "ivf") else 1e-5)
    measured = recall(index, vectors, 5)
    assert measured == 1 if kind in ("exact", "flat") else 0.9 < measured <= 1


def test_recall_counts_what_is_missed(vectors: UnitVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that finds only half of the rows has the recall that follows."""
    index = build_index(vectors, "exact")
    monkeypatch.setattr(index, "rows", vectors.rows(range(COUNT // 2)))  # the same numbers as in the whole
    rows = vectors.rows()
    drawn = np.sort(np.random.default_rng(42).choice(COUNT, 100, replace=False))
    nearest = np.argsort(-(rows[drawn] @ rows.T), axis=1)[:, :5]
    assert recall(index, vectors, 5) == pytest.approx((nearest < COUNT // 2).mean())


def test_faiss_takes_over_above_a_bound(vectors: UnitVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    assert build_index(vectors).kind == "exact"
    monkeypatch.setattr(indexes, "MOST_BY_NUMPY", COUNT - 1)
    assert build_index(vectors).kind == "fp16"


def test_bad_settings(vectors: UnitVectors) -> None:
    with pytest.raises(UserError, match="expected one of auto, exact, fp16, flat, ivf, found hnsw"):
        build_index(vectors, "hnsw")
    with pytest.raises(UserError, match="--k: expected 1 to 599, the number of other items, found 600"):
        check_k(600, 599, "other items")
