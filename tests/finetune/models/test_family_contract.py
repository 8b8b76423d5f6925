"""A family whose photos take a varying number of tokens and bring further inputs fits the contract, in one file."""

import pytest
import torch
from llava_next import LlavaNextCaptioner
from PIL import Image
from tiny_models import CAPTIONS, SHAPE, captions_of, photo

from finetune.config.recipe import Decoding, Labels, Lora, Tune
from finetune.models.adapters import attach, count_parameters
from finetune.models.families.base import BatchShape, Captioner
from finetune.models.generation import generate
from finetune.models.memory.activations import activations_of
from finetune.training.collator import CaptionCollator, append_captions, check_padding, too_long
from finetune.training.losses import IGNORED, caption_losses
from metrics.common.errors import UserError

SIZES = [(30, 40), (90, 30), (30, 90), (64, 64)]


@pytest.fixture(scope="module")
def made() -> tuple[torch.nn.Module, object]:
    torch.manual_seed(0)
    return LlavaNextCaptioner.tiny(SHAPE, CAPTIONS)


@pytest.fixture
def captioner(made: tuple[torch.nn.Module, object]) -> Captioner:
    model, processor = made
    own = type(model)(model.config).eval()  # type: ignore[call-arg, arg-type]
    own.load_state_dict(model.state_dict())
    return LlavaNextCaptioner(own, processor)  # type: ignore[arg-type]


def photos() -> list[Image.Image]:
    """Of as many shapes as there are."""
    return [photo(seed).resize(size) for seed, size in enumerate(SIZES)]


def rows() -> list[dict[str, object]]:
    return [{"image": image, "caption": caption} for image, caption in zip(photos(), CAPTIONS, strict=True)]


def test_what_the_processor_returns_reaches_the_batch(captioner: Captioner) -> None:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    inputs = captioner.encode(photos(), [captioner.default_prompt] * 4)
    assert batch.keys() == inputs.keys() | {"labels"}
    assert inputs.keys() > {"pixel_values", "image_sizes"}
    for name in inputs.keys() - {"input_ids", "attention_mask"}:
        assert torch.equal(batch[name], inputs[name])


@pytest.mark.parametrize("labels", [Labels(), Labels(on="prompt"), Labels(pad_to=300), Labels(on="all", pad_to=300)])
def test_labels_are_those_of_the_row_alone(captioner: Captioner, labels: Labels) -> None:
    """However many tokens the photos beside it take: counted by hand."""
    collate = CaptionCollator(captioner, captioner.default_prompt, labels)
    batch = collate(rows())
    lengths = [len(captioner.caption_tokens(caption, captioner.default_prompt)) for caption in CAPTIONS]
    placeholders = (batch["input_ids"] == captioner.image_token_id).sum(1).tolist()
    assert len(set(placeholders)) > 2
    for place, row in enumerate(rows()):
        alone = collate([row])
        width = alone["input_ids"].shape[1]
        assert torch.equal(batch["input_ids"][place, :width], alone["input_ids"][0])
        labelled = batch["labels"][place] != IGNORED
        prompt = len(captioner.encode([photos()[place]], [captioner.default_prompt])["input_ids"][0])
        first = prompt if labels.on == "caption" else 1
        last = batch["labels"].shape[1] if labels.on == "all" else prompt + lengths[place]
        assert labelled.nonzero()[:, 0].tolist() == list(range(first, last))
        assert torch.equal(batch["labels"][place][labelled], batch["input_ids"][place][labelled])
        assert batch["attention_mask"][place].sum() == (300 if labels.on == "all" else prompt + lengths[place])


def test_losses_are_those_of_the_row_alone_and_of_transformers(captioner: Captioner) -> None:
    collate = CaptionCollator(captioner, captioner.default_prompt)
    with torch.no_grad():
        together, counts = caption_losses(captioner.model, collate(rows()))
        alone = torch.cat([caption_losses(captioner.model, collate([row]))[0] for row in rows()])
        theirs = captioner.model(**collate(rows())).loss
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert (together.sum() / counts.sum()).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_each_photo_and_its_size_change_the_loss(captioner: Captioner) -> None:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    with torch.no_grad():
        before = caption_losses(captioner.model, batch)[0]
        for place in range(4):
            pixels = batch["pixel_values"].clone()
            pixels[place] += 1
            after = caption_losses(captioner.model, batch | {"pixel_values": pixels})[0]
            assert (after != before).tolist() == [place == other for other in range(4)]
    with pytest.raises((ValueError, RuntimeError, TypeError)):
        caption_losses(captioner.model, {name: value for name, value in batch.items() if name != "image_sizes"})


def test_its_adapters_get_gradients_from_photo_and_text(captioner: Captioner) -> None:
    attach(captioner, Tune(vision="lora", connector="full", language="lora"), Lora(rank=4, modules="all-linear"))
    assert all(tower["trainable"] for tower in count_parameters(captioner).values())
    losses, _ = caption_losses(captioner.model, CaptionCollator(captioner, captioner.default_prompt)(rows()))
    losses.sum().backward()
    without = [name for name, one in captioner.model.named_parameters() if one.requires_grad and one.grad is None]
    assert without == []


def test_it_learns_to_caption_its_photos(captioner: Captioner) -> None:
    """Through the collator and the loss, in batches of mixed shapes; each caption ends with the stop token."""
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows()[:2])
    optimizer = torch.optim.AdamW(captioner.model.parameters(), lr=3e-3)
    for _ in range(80):
        losses, counts = caption_losses(captioner.model, batch)
        (losses.sum() / counts.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    captioner.model.eval()
    written = captions_of(captioner, photos()[:2], max_new_tokens=40)
    assert [(one.caption, one.finished) for one in written] == [(caption, True) for caption in CAPTIONS[:2]]


@pytest.mark.parametrize("beams", [1, 2])
def test_shapes_and_prompts_beside_it_change_no_caption(captioner: Captioner, beams: int) -> None:
    prompts = [captioner.default_prompt + wording for wording in ("", " a", " a photo of a long dress", "")]
    decoding = Decoding(beams=beams, max_new_tokens=6)
    together = generate(captioner, photos(), prompts, decoding)
    alone = [generate(captioner, [one], [text], decoding)[0] for one, text in zip(photos(), prompts, strict=True)]
    assert [one.caption for one in together] == [one.caption for one in alone]
    assert [one.logprob for one in together] == pytest.approx([one.logprob for one in alone], abs=1e-4)


def test_what_says_something_of_each_token_grows_with_the_caption(captioner: Captioner) -> None:
    """As Qwen's `mm_token_type_ids` and Gemma's `token_type_ids`: 1 for the photo's tokens, 0 for text."""
    inputs = captioner.encode(photos(), [captioner.default_prompt] * 4)
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == captioner.image_token_id).long()
    packed = torch.arange(12).reshape(2, 6)
    captions = [torch.arange(4 + place) for place in range(4)]
    sizes = torch.ones_like(inputs["input_ids"])  # of the photos, though of the same shape
    batch = append_captions(inputs | {"image_grid_thw": packed, "image_sizes": sizes}, captions, 0)
    assert batch["mm_token_type_ids"].shape == batch["input_ids"].shape
    assert torch.equal(batch["mm_token_type_ids"].bool(), batch["input_ids"] == captioner.image_token_id)
    assert torch.equal(batch["image_grid_thw"], packed)
    assert torch.equal(batch["image_sizes"], sizes)


def test_room_is_that_behind_the_largest_photo(captioner: Captioner) -> None:
    prompt = captioner.default_prompt
    widest = photo(0).resize((512, 512))
    used = len(captioner.checked_inputs([widest], [prompt])["input_ids"][0])
    assert captioner.context - captioner.room(prompt) == used
    assert too_long(captioner, prompt, ["red dress", "red dress " * 400]) == [1]
    batch = CaptionCollator(captioner, prompt)([{"image": widest, "caption": "red dress " * 400}, *rows()])
    assert batch["input_ids"].shape[1] <= captioner.context
    longest = max(len(captioner.caption_tokens(caption, prompt)) for caption in CAPTIONS)
    check_padding(captioner, prompt, Labels(pad_to=used + longest), CAPTIONS)
    with pytest.raises(UserError, match="less than 1 of 4"):
        check_padding(captioner, prompt, Labels(pad_to=used + longest - 1), CAPTIONS)


def test_a_photo_with_other_placeholders_than_its_size_needs_is_refused(captioner: Captioner) -> None:
    captioner.processor.patch_size *= 2
    try:
        inputs = captioner.encode(photos(), [captioner.default_prompt] * 4)
    finally:
        captioner.processor.patch_size //= 2
    captioner.encode = lambda *_: inputs  # type: ignore[method-assign]
    with pytest.raises(UserError, match="image placeholders"):
        CaptionCollator(captioner, captioner.default_prompt)(rows())


def test_its_memory_is_counted_by_its_own_layer_calls(captioner: Captioner) -> None:
    attach(captioner, Tune(), Lora(rank=4))
    captioner.model.to("meta")
    small, large = (
        activations_of(captioner, ("language",), BatchShape(photos=2, patches=17, tokens=n)) for n in (100, 200)
    )
    assert len(small.layers) == SHAPE.layers
    assert sum(large.inputs) == 2 * sum(small.inputs)
