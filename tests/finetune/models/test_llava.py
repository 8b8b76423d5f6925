"""What is LLaVA's own: its prompt, old checkpoints, the CLIP layers that are not used."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import CAPTIONS, SHAPE, captions_of, load_tiny, photo, rows, write_tiny

from finetune.config.recipe import Lora, Tune
from finetune.models.adapters import attach
from finetune.models.families.llava import LlavaCaptioner
from finetune.training.collator import CaptionCollator

PUBLISHED = "USER: <image>\nDescribe the appearance of the clothing item.\nASSISTANT:"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("llava") / "base", "llava")


def test_a_training_text_is_the_published_one_and_ends(base: Path) -> None:
    """omgwenxx/multimodal-fashion-analysis, with the end-of-sequence token that it leaves out."""
    captioner = load_tiny(base)
    batch = CaptionCollator(captioner, captioner.prompt_of(None))(rows(1))
    text = captioner.tokenizer.decode(batch["input_ids"][0])
    expected = PUBLISHED.replace("<image>", "<image>" * (SHAPE.image_size // SHAPE.patch_size) ** 2)
    assert text == f"<s> {expected} {CAPTIONS[0]}</s>"
    assert captioner.tokenizer.decode(batch["labels"][0][batch["labels"][0] >= 0]) == f"{CAPTIONS[0]}</s>"


@pytest.mark.parametrize("layout", ["hub", "memory"])
def test_all_layouts_of_weights_load(base: Path, tmp_path: Path, layout: str) -> None:
    """Names as on the Hub (transformers < 4.52), and as modules are named in memory since."""
    folder = tmp_path / "layout"
    shutil.copytree(base, folder)
    weights = load_file(base / "model.safetensors")
    save_file({_renamed(name, layout): tensor for name, tensor in weights.items()}, folder / "model.safetensors")
    one, other = (load_tiny(path).model.state_dict() for path in (base, folder))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def _renamed(name: str, layout: str) -> str:
    if layout == "hub":
        return name.replace("vision_tower.", "vision_tower.vision_model.")
    if name.startswith("language_model.lm_head"):
        return name.removeprefix("language_model.")
    return "model." + name.replace("language_model.model.", "language_model.")


def test_a_processor_that_knows_no_patches_is_given_them(base: Path, tmp_path: Path) -> None:
    """Hub revisions of before transformers 4.46 have none of these values; without them placeholders are miscounted."""
    folder = tmp_path / "old"
    shutil.copytree(base, folder)
    values = json.loads((folder / "processor_config.json").read_text())
    for key in ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens"):
        values.pop(key)
    (folder / "processor_config.json").write_text(json.dumps(values))
    captioner, same = load_tiny(folder), load_tiny(base)
    assert isinstance(captioner, LlavaCaptioner)
    one, other = (captions_of(model, [photo(0)], PUBLISHED, max_new_tokens=4) for model in (captioner, same))
    assert one == other


def test_clip_s_unused_layer_stays_as_it_is(base: Path) -> None:
    """Features come from the last layer but one: what lies behind it never meets the loss."""
    adapted, tuned = load_tiny(base), load_tiny(base)
    attach(adapted, Tune(vision="lora", language="frozen"), Lora(rank=2, modules="all-linear"))
    attach(tuned, Tune(vision="full", language="frozen"), Lora())
    for captioner in (adapted, tuned):
        trained = {name for name, one in captioner.model.named_parameters() if one.requires_grad}
        assert any(".layers.1." in name for name in trained)
        assert not any(".layers.2." in name or "post_layernorm" in name for name in trained)
