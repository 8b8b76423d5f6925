"""What is LLaVA's own: its prompt, old checkpoints, the CLIP layers that are not used."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny import captioned, finetune, recipe, write_csv
from tiny_models import CAPTIONS, SHAPE, captions_of, load_tiny, photo, rows, write_tiny
from transformers import AutoProcessor

from finetune.config.recipe import Lora, Model, Tune
from finetune.models.adapters import attach
from finetune.models.families.llava import LlavaCaptioner
from finetune.runs.captioning_system import load_system
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


@pytest.mark.parametrize("layout", ["made here", "memory"])
def test_all_layouts_of_weights_load(base: Path, tmp_path: Path, layout: str) -> None:
    """Names as on the Hub, as earlier versions of `make-tiny` wrote them, and as modules are named in memory."""
    folder = tmp_path / "layout"
    shutil.copytree(base, folder)
    weights = load_file(base / "model.safetensors")
    save_file({_renamed(name, layout): tensor for name, tensor in weights.items()}, folder / "model.safetensors")
    one, other = (load_tiny(path).model.state_dict() for path in (base, folder))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def _renamed(name: str, layout: str) -> str:
    name = name.replace("vision_tower.vision_model.", "vision_tower.")
    if layout == "made here":
        return name
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


def tall(first_rows: int = 0) -> Image.Image:
    """A photo of 20 x 60 pixels in the proportion 1:3, its first rows black."""
    values = np.full((60, 20, 3), 200, dtype=np.uint8)
    values[:first_rows] = 0
    return Image.fromarray(values)


def loaded(base: Path, image: str | None) -> LlavaCaptioner:
    return LlavaCaptioner.load(Model(family="llava", base=str(base), dtype="float32", image=image))


def pixels(captioner: LlavaCaptioner, photo: Image.Image) -> torch.Tensor:
    return captioner.encode([photo], [PUBLISHED])["pixel_values"][0]


def test_only_a_cropping_processor_is_blind_to_the_top_of_a_tall_photo(base: Path) -> None:
    """The first 20 of 60 rows are outside the middle square."""
    differences = {
        image: float((pixels(captioner, tall()) - pixels(captioner, tall(first_rows=18))).abs().max())
        for image in ("crop", "pad", "stretch")
        for captioner in [loaded(base, image)]
    }
    assert differences["crop"] == 0
    assert min(differences["pad"], differences["stretch"]) > 1
    assert [loaded(base, image).crops for image in ("crop", "pad", "stretch", None)] == [True, False, False, False]


def test_padding_is_llavas_own(base: Path) -> None:
    """`expand2square` of the original repository: the photo in the middle of a square of the mean colour."""
    captioner = loaded(base, None)
    mean = tuple(int(value * 255) for value in captioner.processor.image_processor.image_mean)
    square = Image.new("RGB", (60, 60), mean)
    square.paste(tall(10), (20, 0))
    assert torch.equal(pixels(captioner, tall(10)), pixels(loaded(base, "crop"), square))


def test_the_saved_processor_pads_too(base: Path, tmp_path: Path) -> None:
    captioner = loaded(base, "pad")
    captioner.processor.save_pretrained(tmp_path)
    stock = AutoProcessor.from_pretrained(tmp_path)
    given = stock(images=[tall(10)], text=[PUBLISHED], return_tensors="pt")["pixel_values"][0]
    assert torch.equal(given, pixels(captioner, tall(10)))
    cropping = loaded(base, "crop")
    cropping.prepare_photos_as(tmp_path)  # as with an adapter from the Hub, whose folder has its processor
    assert torch.equal(pixels(cropping, tall(10)), given)


def test_crop_crops_also_where_the_saved_processor_pads(base: Path, tmp_path: Path) -> None:
    padded = shutil.copytree(base, tmp_path / "padded")
    loaded(base, "pad").processor.save_pretrained(padded)
    assert torch.equal(pixels(loaded(padded, "crop"), tall(10)), pixels(loaded(base, "crop"), tall(10)))


def test_a_model_that_is_named_alone_prepares_photos_as_its_processor_says(base: Path, tmp_path: Path) -> None:
    padded = shutil.copytree(base, tmp_path / "padded")
    loaded(base, "pad").processor.save_pretrained(padded)
    assert [load_system(str(folder), None, None).captioner.crops for folder in (base, padded)] == [True, False]


def test_an_adapter_without_a_processor_has_the_bases_whatever_came_before(base: Path, tmp_path: Path) -> None:
    loaded(base, "stretch").processor.save_pretrained(tmp_path / "stretched")
    captioner = loaded(base, "pad")
    before = pixels(captioner, tall(10))
    assert captioner.prepare_photos_as(tmp_path / "stretched")
    assert not torch.equal(pixels(captioner, tall(10)), before)
    assert not captioner.prepare_photos_as(tmp_path)
    assert torch.equal(pixels(captioner, tall(10)), before)


def test_blip2_has_no_choice() -> None:
    assert Model(base="x").image == "stretch"
    with pytest.raises(ValidationError, match="BLIP-2's processor stretches photos; expected stretch, found pad"):
        Model(base="x", image="pad")


@pytest.mark.slow
def test_training_and_captioning_do_as_the_recipe_says(tmp_path: Path) -> None:
    """Photos of 24 x 36: a third of each is outside the middle square. A run of before has no key, and crops."""
    table = captioned(tmp_path / "shop", 20)
    for row in table:
        row["text"] += f" {row['kind']}"
    write_csv(tmp_path / "shop" / "metadata.csv", table)
    columns = {"caption": "text"}
    sections = {
        "model": {"family": "llava", "base": str(tmp_path / "base"), "dtype": "float32", "image": "crop", "tiny": {}},
        "training": {"tracker": "none", "max_steps": 1, "workers": 0},
        "decoding": {"max_new_tokens": 2},
    }
    data = {"catalogue": "folder", "folder": str(tmp_path / "shop"), "columns": columns}
    path = recipe(tmp_path, data, **sections)
    note = "note: 33.3% of the area of folder's photos lies outside their middle squares and is never seen"
    trained = finetune("train", path)
    assert trained.exit_code == 0, trained.output
    assert note in trained.stderr
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    del record["recipe"]["model"]["image"]
    (tmp_path / "out" / "training.json").write_text(json.dumps(record))
    written = finetune("caption", "--model", tmp_path / "out", "--data", path, "--out", tmp_path / "captions.jsonl")
    assert note in written.stderr
    system = load_system(str(tmp_path / "out"), None, None)
    assert (system.model.image, system.captioner.crops) == ("crop", True)
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["catalogue"]["outside_middle_square"] == pytest.approx(1 / 3)
