"""Training on what a frozen photo encoder made of the photos: computed once, resumed, and the same as from photos."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tiny import finetune, lines
from tiny_models import load_tiny, photo, write_recipe, write_tiny

from finetune.data.feature_cache import FeatureStore
from finetune.data.photos import Photo
from finetune.models.families.prefix import PrefixCaptioner
from finetune.training.stored_features import store_features

SHAPE = {"image_size": 32, "hidden_size": 32, "layers": 1, "queries": 2, "grid": 2, "vocabulary": 400, "dropout": 0}
FULL = {"vision": "frozen", "connector": "full", "language": "full"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos the encoder was given, call after call."""
    counts: list[int] = []
    original = PrefixCaptioner.photo_features

    def features(self: PrefixCaptioner, name: str, pixels: torch.Tensor) -> torch.Tensor:
        if not pixels.is_meta:  # as disk is estimated
            counts.append(len(pixels))
        return original(self, name, pixels)

    monkeypatch.setattr(PrefixCaptioner, "photo_features", features)
    return counts


def written(root: Path, name: str = "run", **sections: Any) -> Path:
    model = {"family": "prefix", "tiny": SHAPE}
    return write_recipe(root, name, **{"model": model, "tune": FULL, "training": {"epochs": 1}} | sections)


def losses(path: Path) -> list[float]:
    record = json.loads((path.with_suffix("") / "training.json").read_text())
    return [entry.get("loss", entry.get("eval_loss")) for entry in record["loss_history"]]


def trained(path: Path, *arguments: str) -> str:
    result = finetune("train", path, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_photos_are_encoded_once_and_training_is_that_on_photos(
    tmp_path: Path, lookbook_cache: Path, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(written(tmp_path))
    (store,) = (lookbook_cache / "features").iterdir()
    assert sum(seen) == 1 + len(FeatureStore.open(store))  # the first call asks for the shape alone
    seen.clear()
    trained(written(tmp_path, "again"))
    assert seen == [1]
    monkeypatch.setattr(PrefixCaptioner, "stored_features", None)
    trained(written(tmp_path, "photos"))
    assert losses(tmp_path / "again.yaml") == losses(tmp_path / "run.yaml")
    assert losses(tmp_path / "photos.yaml") == pytest.approx(losses(tmp_path / "run.yaml"), abs=2e-3)  # float16 rows


@pytest.mark.slow
def test_what_an_interruption_left_is_continued_and_damage_is_made_good(
    tmp_path: Path, lookbook_cache: Path, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, encode = written(tmp_path), PrefixCaptioner.photo_features

    def fail(self: PrefixCaptioner, name: str, pixels: torch.Tensor) -> torch.Tensor:
        if len(seen) == 2:
            raise KeyboardInterrupt
        return encode(self, name, pixels)

    monkeypatch.setattr(PrefixCaptioner, "photo_features", fail)
    assert finetune("train", path).exit_code == 130
    assert seen == [1, 4]  # a batch on a CPU
    monkeypatch.setattr(PrefixCaptioner, "photo_features", encode)
    trained(path, "--resume")
    (store,) = (lookbook_cache / "features").iterdir()
    assert sum(seen[2:]) == 1 + len(FeatureStore.open(store)) - 4
    rows = (store / "rows.bin").read_bytes()
    for damaged in (rows[:100], b"\xff" * len(rows)):  # cut short; not a number
        (store / "rows.bin").write_bytes(damaged)
        seen.clear()
        assert "these stored features are made again" in trained(written(tmp_path, "again"), "--resume")
        assert sum(seen) == 1 + len(FeatureStore.open(store))
        shutil.rmtree(tmp_path / "again")


@pytest.mark.slow
@pytest.mark.parametrize("sections", [{"augmentation": {"flip": 0.5}}, {"tune": FULL | {"vision": "lora"}}], ids=str)
def test_photos_that_change_are_encoded_each_time(
    tmp_path: Path, lookbook_cache: Path, seen: list[int], sections: dict[str, Any]
) -> None:
    printed = trained(written(tmp_path, training={"max_steps": 1}, **sections))
    assert ("no features are stored" in printed) == ("augmentation" in sections)
    assert "features of" not in printed
    assert seen == []
    assert not (lookbook_cache / "features").exists()


def test_disk_and_time_of_the_features_are_known_before(tmp_path: Path, lookbook_cache: Path) -> None:
    """A row has the mean of a photo and those of 2 x 2 cells, 32 numbers of 2 bytes each."""
    path = written(tmp_path)
    assert finetune("prepare", path).exit_code == 0
    splits = (lines(tmp_path / "run" / f"references-{split}.jsonl") for split in ("train", "validation"))
    photos = len({item["photo_digest"] for split in splits for item in split})
    result = finetune("train", path, "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"features of {photos} photos, stored once: 0.3 kB each, 0.00 GB in {lookbook_cache}" in result.stdout
    assert "features of photos" in result.stdout and "photos/s" in result.stdout
    assert not (lookbook_cache / "features").exists()


def test_features_of_another_grid_are_others(tmp_path: Path) -> None:
    """Though no weight of the encoder differs."""
    kept = datasets.Features({"image": Photo(), "photo_digest": datasets.Value("string")})
    photos = datasets.Dataset.from_dict({"image": [photo(0)], "photo_digest": ["a"]}, kept)
    captioner = load_tiny(write_tiny(tmp_path / "base", "prefix"))
    captioner.bare_model.vision_model.requires_grad_(False)
    stores = []
    for grid in (1, 2):
        captioner.model.config.grid = grid
        stores.append(store_features(captioner, [photos], tmp_path / "features"))
    assert [store.shape for store in stores] == [(2, 32), (5, 32)]
    assert stores[0].about.weights == stores[1].about.weights


@pytest.mark.slow
def test_an_adapter_on_the_language_model_captions_what_it_was_trained_on(tmp_path: Path) -> None:
    """From features to photos: `caption` computes them anew, by the adapter on its base."""
    path = written(tmp_path, tune={"connector": "full", "language": "lora"})
    trained(path)
    out = tmp_path / "captions" / "captions.jsonl"
    model = ["--model", tmp_path / "run", "--data", path, "--out", out]
    result = finetune("caption", *model)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").is_file()
    assert len(out.read_text().splitlines()) == 12
