"""Vectors of photos and texts against the forward pass of transformers, by tiny models of the real classes."""

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_clip import KINDS, READS, cosine, write_clip, write_photos
from transformers import BertConfig, BertModel, CLIPModel

from metrics.common.errors import UserError
from metrics.encoders import dual_encoder
from metrics.encoders.load import load_dual_encoder

pytestmark = pytest.mark.torch
TEXTS = ["a red dress", "blue hat with long sleeves and pockets", "wool " * 100, "", "a green coat", "A RED dress"]


def png(width: int, height: int) -> bytes:
    """A large photo in a small file."""
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    return [folder / name for name in write_photos(folder, len(TEXTS))]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize("kind", KINDS)
def test_products_are_the_cosines_of_the_forward_pass(
    kind: str, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_encoder, "_BATCH", 4)
    encoder = load_dual_encoder(str(write_clip(tmp_path, kind)))
    one, other = encoder.encode_photos(photos), encoder.encode_texts(TEXTS)
    assert one.shape == other.shape == (len(TEXTS), encoder.width)
    assert np.linalg.norm([one, other], axis=-1) == pytest.approx(1, abs=1e-6)
    expected = [cosine(tmp_path, photo, text) for photo, text in zip(photos, TEXTS, strict=True)]
    assert max(expected) - min(expected) > 0.2
    assert (one * other).sum(axis=1) == pytest.approx(expected, abs=1e-5)
    assert encoder.reads == (77 if kind == "clip" else READS)
    assert encoder.too_long(TEXTS) == 1


def test_nothing_has_no_vectors(clip: Path) -> None:
    encoder = load_dual_encoder(str(clip))
    assert encoder.encode_photos([]).shape == encoder.encode_texts([]).shape == (0, encoder.width)
    assert encoder.too_long([]) == 0


@pytest.mark.parametrize(
    "text", ["a \ud800 dress", "\x00", "\u2028\n\t", "👗 שמלה", "<|endoftext|> <eos>", "x" * 20_000]
)
def test_odd_texts_have_vectors_of_their_own(clip: Path, text: str) -> None:
    encoder = load_dual_encoder(str(clip))
    alone, beside = encoder.encode_texts(["a red dress"]), encoder.encode_texts([text, "a red dress"])
    assert beside[1] == pytest.approx(alone[0], abs=1e-5)
    assert np.abs(beside[0] - beside[1]).max() > 0.01


def test_it_computes_in_the_type_that_is_asked_for(clip: Path, photos: list[Path]) -> None:
    exact, rough = load_dual_encoder(str(clip), device="cpu"), load_dual_encoder(str(clip), "cpu", "bfloat16")
    assert (exact.dtype, rough.dtype) == ("float32", "bfloat16")
    one, other = exact.encode_photos(photos), rough.encode_photos(photos)
    assert 0 < np.abs(one - other).max() < 0.1
    assert other.dtype == np.float32


def test_weights_have_a_hash_whatever_their_files(clip: Path, tmp_path: Path) -> None:
    shutil.copytree(clip, tmp_path / "sharded")
    (tmp_path / "sharded" / "model.safetensors").unlink()
    CLIPModel.from_pretrained(clip).save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    other = write_clip(tmp_path / "other", seed=1)
    one, same, different = (load_dual_encoder(str(folder)).weights for folder in (clip, tmp_path / "sharded", other))
    assert one == same != different


def test_a_photo_is_turned_by_its_exif(clip: Path, photos: list[Path], tmp_path: Path) -> None:
    with Image.open(photos[0]) as photo:
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by 90 degrees
        photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright, turned = load_dual_encoder(str(clip)).encode_photos([photos[0], tmp_path / "turned.png"])
    assert turned == pytest.approx(upright, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "no such file"),
        ("text.jpg", b"not a photo", "not an image"),
        ("map.ppm", b"P6 1 1 255 \x00\x00\x00", "not an image"),
        ("rows.hdf5/3", None, "no such file"),
        ("huge.png", png(20_000, 5_001), "larger than 100 million pixels"),
    ],
)
def test_a_broken_photo_is_named_with_its_owner(
    clip: Path, photos: list[Path], tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"^item 7: {re.escape(str(tmp_path))}.*{message}"):
        load_dual_encoder(str(clip)).encode_photos([photos[0], tmp_path / name], owners=["item 6", "item 7"])


def test_a_revision_of_the_hub_is_pinned(clip: Path, cached_hub: HubServer, tmp_path: Path) -> None:
    cached_hub.put_folder("tiny/clip", clip)
    first = cached_hub.repos["tiny/clip"].commits[-1][0]
    other = write_clip(tmp_path / "other", seed=1)
    newer = cached_hub.repos["tiny/clip"].add({path.name: path.read_bytes() for path in other.iterdir()})
    found = [load_dual_encoder(source) for source in ("tiny/clip", f"tiny/clip@{first}")]
    assert [one.revision for one in found] == [newer, first]
    assert [one.source for one in found] == ["tiny/clip", "tiny/clip"]
    assert found[0].weights != found[1].weights == load_dual_encoder(str(clip)).weights
    with pytest.raises(UserError, match=r"tiny/clip@nope: cannot load it as a dual encoder.*nope is not a valid git"):
        load_dual_encoder("tiny/clip@nope")


def test_pickled_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    shutil.copytree(clip, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(load_file(clip / "model.safetensors"), tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickled: cannot load it as a dual encoder.*model\.safetensors"):
        load_dual_encoder(str(tmp_path / "pickled"))


def test_half_the_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    shutil.copytree(clip, tmp_path / "half")
    weights = {name: one for name, one in load_file(clip / "model.safetensors").items() if "vision" not in name}
    save_file(weights, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"the weights lack \d+ tensors of the encoder, for example vision_model"):
        load_dual_encoder(str(tmp_path / "half"))


def test_weights_that_are_not_numbers_are_refused(clip: Path, tmp_path: Path) -> None:
    shutil.copytree(clip, tmp_path / "nan")
    weights = {name: one * float("nan") for name, one in load_file(clip / "model.safetensors").items()}
    save_file(weights, tmp_path / "nan" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="not finite"):
        load_dual_encoder(str(tmp_path / "nan")).encode_texts(["a dress"])


def test_other_models_are_refused(tmp_path: Path) -> None:
    BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=8)).save_pretrained(
        tmp_path
    )
    with pytest.raises(UserError, match=r"dual encoder of photos and texts \(clip, siglip\): .*'bert'"):
        load_dual_encoder(str(tmp_path))
    with pytest.raises(UserError, match=r"nowhere: cannot load it"):
        load_dual_encoder(str(tmp_path / "nowhere"))
