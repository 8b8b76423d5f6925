"""Unit vectors of stores: cosines of centred vectors, weighted; what has no direction is named."""

from pathlib import Path

import numpy as np
import pytest
from feature_stores import write_store
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.features.fusion import UnitVectors

RANDOM = np.random.default_rng(3)
PHOTO, TEXT = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 7))
IDS = list("abcdef")


def store(folder: Path, name: str, rows: np.ndarray, ids: list[str] = IDS) -> FeatureStore:
    return FeatureStore.open(write_store(folder / name, ids, rows, dtype="float32"))


def cosines(rows: np.ndarray, centred: bool) -> np.ndarray:
    rows = rows - rows.mean(axis=0) if centred else rows
    lengths = np.linalg.norm(rows, axis=1)
    return np.asarray(rows @ rows.T / np.outer(lengths, lengths))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[FeatureStore]:
    folder = tmp_path_factory.mktemp("stores")
    order = [3, 1, 0, 2, 5, 4]
    return [store(folder, "photo", PHOTO), store(folder, "text", TEXT[order], [IDS[place] for place in order])]


@given(weight=st.floats(0, 1), centred=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_dot_product_is_the_weighted_cosine(stores: list[FeatureStore], weight: float, centred: bool) -> None:
    rows = UnitVectors(stores, weight, centred).rows()
    expected = weight * cosines(PHOTO, centred) + (1 - weight) * cosines(TEXT, centred)
    assert np.allclose(rows @ rows.T, expected, atol=2e-6)


def test_one_of_two_stores_alone(stores: list[FeatureStore]) -> None:
    rows = UnitVectors(stores).alone(1).rows([0, 4])
    assert np.allclose(rows @ rows.T, cosines(TEXT, True)[np.ix_([0, 4], [0, 4])], atol=2e-6)


def test_items_that_one_store_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    shorter = store(tmp_path, "text", TEXT[:4], ["x", "c", "b", "a"])
    vectors = UnitVectors([store(tmp_path, "photo", PHOTO), shorter])
    assert (vectors.ids, vectors.left_out) == (["a", "b", "c"], [3, 1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.vstack([PHOTO[:5], np.zeros(4)]), r"the vector of 1 items \(f\) is all zeros"),
        (np.ones((6, 4)), "equals the mean of all items"),
        (PHOTO.reshape(6, 2, 2), r"expected a vector an item, found rows of shape \(2, 2\)"),
    ],
)
def test_what_has_no_cosine(tmp_path: Path, rows: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        UnitVectors([store(tmp_path, "photo", rows)]).rows()


def test_a_query_of_another_length(stores: list[FeatureStore]) -> None:
    with pytest.raises(UserError, match=r"expected a vector of 4 numbers, found \(5,\)"):
        UnitVectors(stores).join([np.ones((1, 5), np.float32), None], ["query"])


def test_stores_of_other_items_and_a_wrong_weight(tmp_path: Path) -> None:
    photo, other = store(tmp_path, "photo", PHOTO), store(tmp_path, "other", PHOTO, list("uvwxyz"))
    with pytest.raises(UserError, match="found no id in both"):
        UnitVectors([photo, other])
    with pytest.raises(UserError, match=r"from 0 to 1, found 1\.5"):
        UnitVectors([photo, photo], weight=1.5)
