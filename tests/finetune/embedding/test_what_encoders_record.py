"""What a store says of its encoder: the Hub's commit, how inputs were prepared, at which resolution."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from feature_stores import write_store
from hub_server import HubServer
from PIL import Image
from tiny_clip import write_clip
from tiny_encoders import bert, clip, dinov2, resnet
from tiny_models import photo
from transformers import modeling_utils

from finetune.data.feature_cache import FeatureStore
from finetune.embedding.named import encoder_of
from finetune.models.encoders import load_encoder
from metrics.common.errors import UserError

pytestmark = pytest.mark.torch


def test_an_encoder_of_texts_records_the_hub_s_commit(cached_hub: HubServer, tmp_path: Path) -> None:
    folder = Path(bert(tmp_path / "bert"))
    cached_hub.put_folder("tiny/bert", folder)
    first = cached_hub.repos["tiny/bert"].commits[-1][0]
    about = load_encoder("tiny/bert", "cpu").about()
    assert about.revision == first
    newer = cached_hub.repos["tiny/bert"].add(
        {path.name: path.read_bytes() for path in folder.iterdir()} | {"new": b""}
    )
    assert load_encoder("tiny/bert", "cpu").about().revision == newer
    store = FeatureStore.open(write_store(tmp_path / "store", ["a"], [[1.0] * 16], about))
    assert encoder_of(store).about() == about
    assert load_encoder(str(folder), "cpu").about().revision is None


def test_a_store_by_pickled_weights_finds_the_copy_that_the_hub_s_bot_made(
    cached_hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is in a pull request, which transformers looks for if the revision is `main`; here it lies in a folder."""

    def convert(folder: str) -> None:
        answer = (str(tmp_path / folder / "model.safetensors"), "refs/pr/1", False)
        monkeypatch.setattr(modeling_utils, "auto_conversion", lambda name, **_: answer)

    for folder, seed in (("copy", 0), ("other", 1)):
        write_clip(tmp_path / folder, "clip", seed=seed)
    cached_hub.put_folder("tiny/pickled", tmp_path / "copy")
    del cached_hub.repos["tiny/pickled"].files["model.safetensors"]
    convert("copy")
    about = replace(load_encoder("tiny/pickled", "cpu").about(), reads="photo")
    store = FeatureStore.open(write_store(tmp_path / "store", ["a"], [[1.0] * 16], about))
    assert about.revision and encoder_of(store).about().weights == about.weights
    convert("other")
    with pytest.raises(UserError, match="the weights of encoder tiny/pickled have changed since"):
        encoder_of(store)


@pytest.mark.parametrize(("make", "file", "old", "new"), [
    (bert, "tokenizer.json", '"hat"', '"hut"'),
    (clip, "tokenizer.json", "Ń</w>", "Ň</w>"),
    (clip, "preprocessor_config.json", '"do_normalize": true', '"do_normalize": false'),
])  # fmt: skip
def test_how_texts_and_photos_are_prepared_is_recorded(
    tmp_path: Path, make: Callable[[Path], str], file: str, old: str, new: str
) -> None:
    name = make(tmp_path / "model")
    before = load_encoder(name, "cpu").about()
    encoder = load_encoder(name, "cpu")
    encoder.encode_texts(["a hat", "a red hat with long sleeves"])  # which sets how the tokenizer pads
    assert before.processor and encoder.about() == before
    path = tmp_path / "model" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    after = load_encoder(name, "cpu").about()
    assert after.processor != before.processor and after.weights == before.weights


def test_a_resnet_takes_photos_stretched_to_any_resolution(tmp_path: Path) -> None:
    """As the paper's are to 240 x 240: nothing is cut off, and the store brings the same back."""
    name = resnet(tmp_path / "resnet")
    plain, encoder = load_encoder(name, "cpu"), load_encoder(name, "cpu", resolution=48)
    wide = Image.new("RGB", (90, 30), "white")
    wide.paste("red", (0, 0, 10, 30))
    assert plain.pixels(wide).shape == (3, 32, 32) and torch.unique(plain.pixels(wide)[1]).numel() == 1  # cropped
    pixels = encoder.pixels(wide)
    assert pixels.shape == (3, 48, 48)
    assert pixels[1, :, 2].mean() < pixels[1, :, 20].mean()  # red has no green; white has
    about = encoder.about()
    assert (about.resolution, plain.about().resolution) == (48, 32)
    assert about.processor == f"stretched {plain.about().processor}"
    rows = encoder.encode_photos([photo(0)])
    store = FeatureStore.open(write_store(tmp_path / "store", ["a"], rows, about, "float32"))
    assert encoder_of(store).about() == about
    np.testing.assert_allclose(encoder_of(store).encode_photos([photo(0)]), rows, atol=1e-6)
    with pytest.raises(UserError, match=r"--resolution 1025: expected 32 to 1,024 with"):
        load_encoder(name, "cpu", resolution=1025)
    with pytest.raises(UserError, match=r"--resolution 48: encoder .* has one of its own"):
        load_encoder(dinov2(tmp_path / "dinov2"), "cpu", resolution=48)
    with pytest.raises(UserError, match=r"--resolution 48: encoder .* has one of its own"):
        load_encoder(clip(tmp_path / "clip"), "cpu", resolution=48)


class _TwoTowers(torch.nn.Module):
    """What of an open_clip model is used."""

    visual = SimpleNamespace(image_size=16)

    def encode_image(self, batch: torch.Tensor, normalize: bool) -> torch.Tensor:
        return batch.flatten(1)[:, :4]

    def encode_text(self, tokens: torch.Tensor, normalize: bool) -> torch.Tensor:
        return tokens.float()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-B-32/laion2b_s34b_b79k", ("ViT-B-32", "laion2b_s34b_b79k")),
        ("Marqo/marqo-fashionSigLIP", ("hf-hub:Marqo/marqo-fashionSigLIP", None)),
    ],
)
def test_open_clip_takes_hub_ids_and_its_own_weights(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: tuple[str, str | None]
) -> None:
    """The package is optional; here a stand-in tells what it is asked for."""
    asked: list[Any] = []

    class Tokenizer:
        context_length = 77

        def __call__(self, texts: list[str]) -> torch.Tensor:
            return torch.ones(len(texts), 4)

    def create(model: str, pretrained: str | None, device: str) -> tuple[torch.nn.Module, Any]:
        asked.append((model, pretrained))
        return _TwoTowers(), None

    def tokenizer(model: str) -> Tokenizer:
        asked.append(model)
        return Tokenizer()

    package = SimpleNamespace(
        list_pretrained=lambda: [("ViT-B-32", "laion2b_s34b_b79k")],
        create_model_from_pretrained=create,
        get_tokenizer=tokenizer,
        get_model_preprocess_cfg=lambda model: {"size": (16, 16), "mode": "RGB"},
    )
    monkeypatch.setitem(sys.modules, "open_clip", package)
    about = load_encoder(f"open_clip:{name}", "cpu").about()
    assert asked == [expected, expected[0]]
    assert about.encoder == f"open_clip:{name}" and about.processor
