"""The captions of similar training photos, against photos whose neighbours are known without looking at features."""

import json
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tiny import article, finetune, kaggle, kaggle_photo, lines, photo, recipe, references
from tiny_facad import TEST, VALIDATION, facad

from finetune.captioning import neighbours
from finetune.captioning.lookup import consensus_of
from finetune.config.catalogues import SPLITS
from finetune.config.recipe import load_recipe
from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from finetune.data.mixture import prepare_one
from finetune.data.preparation import Prepared
from finetune.embedding.photo_features import photo_features
from finetune.models.encoders.base import Encoder
from metrics.common.ownership import MARK

COLOURS = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (250, 250, 20)]
TINY = {"image_size": 16, "hidden_size": 16, "layers": 1, "queries": 2, "vocabulary": 320}
MODEL: dict[str, Any] = {"dtype": "float32", "tiny": TINY}
WORDS = st.sampled_from(["red", "Red", "dress", "a", "with", "hat.", "!"])


def shop(folder: Path) -> Path:
    """Forty articles of one-coloured photos in four colours, and their recipe."""
    root = kaggle(folder / "hm", [article(number) for number in range(40)])
    for number in range(40):
        photo(kaggle_photo(root, article(number)["article_id"]), COLOURS[number % 7 % 4])
    model = {"base": str(folder / "base"), "dtype": "float32", "tiny": TINY}
    return recipe(folder, {"catalogue": "hm", "folder": str(root)}, model=model)


def same_photo(item: dict[str, Any], train: list[dict[str, Any]]) -> list[str]:
    """The captions of the training items with an item's photo, in training's order."""
    return [one["references"][0] for one in train if one["photo_digest"] == item["photo_digest"]]


def test_by_the_base_s_vision_tower_the_same_photo_is_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.common.screen.LINE_SECONDS", 0)
    path = shop(tmp_path)
    assert finetune("prepare", path).exit_code == 0
    train, test = references(tmp_path, "train"), references(tmp_path, "test")
    assert min(len(same_photo(item, train)) for item in test) >= 3
    out = tmp_path / "captions"
    result = finetune("baselines", path, out, "baselines.neighbours=3")
    assert result.exit_code == 0, result.output
    names = ("sibling", "category", "nearest", "consensus")
    assert result.stdout.split() == [str(out / name / "captions.jsonl") for name in names]
    nearest, consensus = (lines(out / name / "captions.jsonl") for name in ("nearest", "consensus"))
    assert [row["caption"] for row in nearest] == [same_photo(item, train)[0] for item in test]
    assert [row["caption"] for row in consensus] == [consensus_of(same_photo(item, train)[:3]) for item in test]
    assert [row["references"] for row in nearest] == [item["references"] for item in test]
    run = json.loads((out / "consensus" / "run.json").read_text())
    assert run["system"] == "consensus of the 3 nearest items' captions (vision tower of base)"
    assert (run["kind"], run["lookup"]["rule"], run["lookup"]["k"]) == ("baseline", "consensus", 3)
    again = finetune("baselines", path, tmp_path / "again")
    assert again.exit_code == 0, again.output
    assert "encoding photos" in result.stderr
    assert "encoding photos" not in again.stderr
    (tmp_path / "models").mkdir()
    moved = (tmp_path / "base").rename(tmp_path / "models" / "base")
    elsewhere = finetune("baselines", path, tmp_path / "moved", "baselines.neighbours=3", f"model.base={moved}")
    assert elsewhere.exit_code == 0, elsewhere.output
    assert json.loads((tmp_path / "moved" / "consensus" / "run.json").read_text())["lookup"] == run["lookup"]


def test_of_a_catalogue_with_several_photos_an_item_the_items_count(tmp_path: Path) -> None:
    """Of the five photos most are the hat's, of the three items most are red dresses."""
    train = [("a wool hat", 5, "wool")] * 3 + [("a red dress", 3, "wool"), ("a red silk dress", 3, "silk")]
    root = facad(tmp_path / "facad", (train, VALIDATION, TEST))
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(root)}, model=MODEL | {"base": str(tmp_path / "base")})
    out = tmp_path / "captions"
    result = finetune("baselines", path, out)
    assert result.exit_code == 0, result.output
    assert {row["caption"] for row in lines(out / "consensus" / "captions.jsonl")} == {"a red dress"}
    assert json.loads((out / "consensus" / "run.json").read_text())["lookup"]["k"] == 3


def test_a_single_training_item_has_no_consensus_and_a_named_encoder_its_name(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    root = facad(tmp_path / "facad", ([("a wool hat", 5, "wool")] * 3, VALIDATION, TEST))
    model = MODEL | {"family": "prefix", "base": str(tmp_path / "base")}
    model["tiny"] = TINY | {"encoder": "efficientnet-lite0", "image_size": 32}
    path, out = recipe(tmp_path, {"catalogue": "facad", "folder": str(root)}, model=model), tmp_path / "captions"
    result = finetune("baselines", path, out)
    assert result.exit_code == 0, result.output
    assert "training has one item, so no consensus" in result.stderr
    assert not (out / "consensus").exists()
    run = json.loads((out / "nearest" / "run.json").read_text())
    assert run["system"] == "nearest photo's caption (vision tower efficientnet-lite0)"


def test_without_an_encoder_nothing_is_looked_up(tmp_path: Path) -> None:
    out = tmp_path / "captions"
    result = finetune("baselines", shop(tmp_path), out, "baselines.encoder=none")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [MARK, "category", "sibling"]
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("command", ["run", "baselines"])
def test_an_encoder_of_texts_is_refused_before_anything_is_written(tmp_path: Path, command: str) -> None:
    arguments = [tmp_path / "captions"] if command == "baselines" else []
    result = finetune(command, shop(tmp_path), *arguments, "baselines.encoder=tfidf")
    assert result.exit_code == 2
    assert "baselines.encoder: tfidf: gives no vector of a photo; name an encoder of photos" in result.stderr
    assert not (tmp_path / "captions").exists()
    assert not (tmp_path / "out").exists()


class Means(Encoder):
    """The mean colour of a photo; it fails when it has encoded `most`."""

    name, reads, shape = "means", "photo", (3,)

    def __init__(self, most: int = 1000) -> None:
        self.encoded, self.most = 0, most

    def pixels(self, photo: Image.Image) -> NDArray[np.float64]:
        return np.asarray(photo).mean((0, 1))

    def encode_pixels(self, pixels: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
        self.encoded += len(pixels)
        if self.encoded > self.most:
            raise KeyboardInterrupt
        return np.array(pixels, dtype=np.float32)


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Forty photos, all different."""
    root = kaggle(tmp_path / "hm", [article(number) for number in range(40)])
    made = load_recipe(recipe(tmp_path, {"catalogue": "hm", "folder": str(root)}))
    return prepare_one(made.catalogues, 0)


def test_interrupted_features_are_continued_then_shared_and_made_again_if_damaged(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("finetune.embedding.photo_features.default_batch", lambda device: 10)
    splits = [prepared.splits[split] for split in SPLITS]
    with pytest.raises(KeyboardInterrupt):
        photo_features(splits, Means(most=15))
    rest = Means()
    store = photo_features(splits, rest)
    photos = {digest for split in SPLITS for digest in prepared.splits[split]["photo_digest"]}
    assert set(store.ids) == photos
    assert rest.encoded == len(photos) - 10
    other = Means()
    assert np.array_equal(photo_features(splits, other).rows(), store.rows())
    assert other.encoded == 0
    (store.path / "rows.bin").write_bytes(b"x")
    assert np.array_equal(photo_features(splits, other).rows(), store.rows())
    assert other.encoded == len(photos)
    assert "are made again" in capsys.readouterr().err


def test_cached_features_of_which_a_byte_is_damaged_are_made_again(
    prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    store, again = photo_features([prepared.splits[split] for split in SPLITS], Means()), Means()
    rows = store.rows()
    spoilt = rows.copy()
    spoilt[3] = np.nan
    (store.path / "rows.bin").write_bytes(spoilt.tobytes())
    assert np.array_equal(photo_features([prepared.splits[split] for split in SPLITS], again).rows(), rows)
    assert again.encoded == len(rows)
    message = capsys.readouterr().err
    assert "something was changed after the store was made" in message and "are made again" in message
    assert "lookbook embed" not in message


def test_an_encoder_that_is_none_is_called_by_the_key_that_names_it(tmp_path: Path) -> None:
    path = shop(tmp_path)
    for name, reason in (("none:queries", "none: no such folder"), (str(tmp_path), "cannot load it as an encoder")):
        message = finetune("baselines", path, tmp_path / "out", f"baselines.encoder={name}").stderr
        assert message.startswith(f"error: baselines.encoder: {name}: ") and reason in message
        assert "model.base" not in message and "--encoder" not in message


def brute_force(
    vectors: NDArray[np.float64], queries: Sequence[int], rows: Sequence[int], owners: Sequence[int], k: int
) -> list[list[int]]:
    """By definition: each owner's highest cosine, sorted; the sort is stable."""
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(lengths > 0, lengths, 1)[:, None]

    def highest(query: int, owner: int) -> float:
        return max(float(unit[query] @ unit[row]) for row, own in zip(rows, owners, strict=True) if own == owner)

    return [sorted(sorted(set(owners)), key=lambda owner: -highest(query, owner))[:k] for query in queries]


AXES = [[sign * length if one == axis else 0 for one in range(3)]
        for axis in range(3) for sign in (1, -1) for length in (1, 4)]  # fmt: skip


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([[0, 0, 0], *AXES]), min_size=2, max_size=30),
    st.integers(1, 8),
    st.integers(1, 6),
    st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_neighbours_are_those_of_brute_force_and_ties_stay_in_order(
    tmp_path_factory: pytest.TempPathFactory, vectors: list[list[int]], k: int, block: int, begins: list[bool]
) -> None:
    """Along the axes every cosine is -1, 0 or 1, exactly: nearly all are tied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_QUERIES", 3)
        patch.setattr(neighbours, "_ROWS", block)
        half = len(vectors) // 2
        queries, rows = list(range(half)), list(range(half, len(vectors)))
        owners = np.cumsum(begins[: len(rows)]).tolist()
        store = stored(tmp_path_factory.mktemp("store") / "s", np.array(vectors))
        found = neighbours.nearest_owners(store, np.array(queries), np.array(rows), np.array(owners), k)
    assert found.tolist() == brute_force(np.array(vectors, dtype=float), queries, rows, owners, k)


def test_neighbours_of_arbitrary_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", 64)
    vectors = np.random.default_rng(0).normal(size=(300, 20))
    queries, rows = list(range(50)), list(range(299, 49, -1))
    owners = [place // 3 for place in range(250)]
    store = stored(tmp_path / "s", vectors)
    found = neighbours.nearest_owners(store, np.array(queries), np.array(rows), np.array(owners), 7)
    assert found.tolist() == brute_force(vectors, queries, rows, owners, 7)


def stored(path: Path, vectors: NDArray[Any]) -> FeatureStore:
    with FeatureWriter(path, About("made up", "photo"), vectors.shape[1:], "float32") as writer:
        writer.append([str(number) for number in range(len(vectors))], vectors.astype(np.float32))
        writer.finish()
    return FeatureStore.open(path)


def test_the_consensus_shares_most_words_with_the_others() -> None:
    # Word F1: 1-2 is 6/8, 1-3 is 2/6, 2-3 is 2/8; the means are 0.54, 0.5 and 0.29.
    assert consensus_of(["a blue hat", "A red dress, with pockets", "a red dress"]) == "a red dress"
    assert consensus_of(["one", "two"]) == "one"
    assert consensus_of(["x", "two two", "two"]) == "two two"  # alike: 2/3 with each other


@given(st.lists(st.lists(WORDS, max_size=4).map(" ".join), min_size=1, max_size=6))
def test_no_other_caption_has_a_higher_mean(captions: list[str]) -> None:
    bags = [Counter(word.strip("!.").lower() for word in caption.split() if word != "!") for caption in captions]

    def f1(one: Counter[str], other: Counter[str]) -> Fraction:
        total = sum(one.values()) + sum(other.values())
        return Fraction(2 * sum((one & other).values()), total) if total else Fraction(1)

    totals = [sum(f1(one, other) for j, other in enumerate(bags) if j != i) for i, one in enumerate(bags)]
    first = totals.index(max(totals))
    assert consensus_of(captions) == captions[first]
