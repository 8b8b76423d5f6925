"""Two stores joined to one: the weighted cosine, what is left out, what the store says, what it cannot do."""

from pathlib import Path

import numpy as np
import pytest
from feature_stores import write_store
from recommending import clustered, done, refused_by

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About

IDS, PHOTO, _ = clustered(40)
TEXT = np.random.default_rng(5).normal(size=(40, 6))


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    photo = About("resnet50", "photo", weights="1a", folder="photos", items=40)
    text = About("a-bert", "text", weights="2b", text="description", items=39)
    return (
        write_store(tmp_path / "photos", IDS, PHOTO, photo, "float32"),
        write_store(tmp_path / "texts", IDS[:0:-1], TEXT[:0:-1], text, "float32"),
    )


def cosines(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1)
    return np.asarray(rows @ rows.T / np.outer(lengths, lengths))


def test_a_dot_product_is_the_weighted_cosine(stores: tuple[Path, Path], tmp_path: Path) -> None:
    printed = done("join-features", *stores, "--weight", 0.25, "--out", tmp_path / "both")
    assert f"1  left out of {stores[0]}: the other store lacks them" in printed
    found = FeatureStore.open(tmp_path / "both")
    assert found.ids == IDS[1:] and found.shape == (14,)
    expected = 0.25 * cosines(PHOTO[1:]) + 0.75 * cosines(TEXT[1:])
    np.testing.assert_allclose(found.vectors() @ found.vectors().T, expected, atol=2e-6)
    about = found.about
    assert (about.encoder, about.reads, about.weights) == ("resnet50 + a-bert", "both", "1a + 2b")
    assert (about.text, about.folder, about.items) == ("description", "photos", 39)


def test_other_commands_take_it(stores: tuple[Path, Path], tmp_path: Path) -> None:
    done("join-features", *stores, "--out", tmp_path / "both")
    done("reduce", tmp_path / "both", "--dimensions", 3, "--out", tmp_path / "less")
    assert FeatureStore.open(tmp_path / "less").shape == (3,)
    assert "exists already" in refused_by("join-features", *stores, "--out", tmp_path / "both")
    message = refused_by("similar", tmp_path / "both", "--sentence", "a red dress")
    assert "joined of two stores (resnet50 + a-bert); for a query that is no item give these two stores" in message


def test_an_item_without_direction_leaves_nothing_behind(stores: tuple[Path, Path], tmp_path: Path) -> None:
    zeros = write_store(tmp_path / "zeros", IDS, [*TEXT[:-1], np.zeros(6)])
    message = refused_by("join-features", stores[0], zeros, "--out", tmp_path / "both")
    assert f"zeros: the vector of 1 items ({IDS[-1]}) is all zeros" in message
    assert not list(tmp_path.glob("*both*"))
