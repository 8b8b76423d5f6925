"""The contract that every model family must pass: loss, towers, checkpoints, decoding, loading."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tiny_models import CAPTIONS, captions_of, load_tiny, photo, rows

from finetune.config.recipe import Decoding, Lora, Training, Tune
from finetune.models.adapter_files import load_adapter
from finetune.models.adapters import attach
from finetune.models.families import FAMILIES, family_of
from finetune.models.families.base import TOWERS, Captioner
from finetune.models.generation import generate
from finetune.training.arguments import training_arguments
from finetune.training.collator import CaptionCollator, append_captions
from finetune.training.losses import IGNORED, caption_losses
from finetune.training.trainer import CaptionTrainer
from metrics.common.errors import UserError


def test_another_image_changes_the_loss(captioner: Captioner) -> None:
    collate = CaptionCollator(captioner, captioner.default_prompt)
    one, other = collate(rows(1)), collate([{"image": photo(99), "caption": CAPTIONS[0]}])
    with torch.no_grad():
        assert not torch.equal(caption_losses(captioner.model, one)[0], caption_losses(captioner.model, other)[0])


@pytest.mark.parametrize("wording", ["", "\nCaption:\n", "a photo of"])
def test_only_caption_and_stop_token_carry_loss(captioner: Captioner, wording: str) -> None:
    prompt = captioner.default_prompt + wording
    batch = CaptionCollator(captioner, prompt)(rows())
    for ids, labels, mask, caption in zip(
        batch["input_ids"], batch["labels"], batch["attention_mask"], CAPTIONS, strict=True
    ):
        labelled = labels[labels != IGNORED]
        assert labelled[-1] == captioner.stop_token_id
        assert captioner.tokenizer.decode(labelled[:-1]).strip() == caption
        assert torch.equal(ids[labels != IGNORED], labelled)
        assert not (labels[mask == 0] != IGNORED).any()
        assert (labels == captioner.image_token_id).sum() == 0
        assert (ids == captioner.image_token_id).sum() == captioner.most_image_tokens


def test_training_pads_on_the_right(captioner: Captioner) -> None:
    mask = CaptionCollator(captioner, captioner.default_prompt)(rows())["attention_mask"]
    assert (mask.sum(1) < mask.shape[1]).any()
    assert torch.equal(mask.sort(dim=1, descending=True).values, mask)


def test_loss_equals_the_one_transformers_computes(captioner: Captioner) -> None:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    with torch.no_grad():
        losses, counts = caption_losses(captioner.model, batch)
        expected = captioner.model(**batch).loss
    assert (losses.sum() / counts.sum()).item() == pytest.approx(expected.item(), rel=1e-5)


def test_vision_features_tell_photos_apart(captioner: Captioner) -> None:
    """By them the nearest photo's caption is found."""
    inputs = captioner.encode([photo(0), photo(1)], [captioner.default_prompt] * 2)
    with torch.no_grad():
        one, other = captioner.photo_features("vision", inputs["pixel_values"]).mean(1)
    assert not torch.allclose(one, other)
    assert all(name.startswith(captioner.towers["vision"]) for name in captioner.features["vision"])


def test_padding_changes_no_loss(captioner: Captioner) -> None:
    collate = CaptionCollator(captioner, captioner.default_prompt)
    with torch.no_grad():
        together = caption_losses(captioner.model, collate(rows()))[0]
        alone = torch.cat([caption_losses(captioner.model, collate([row]))[0] for row in rows()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_placeholders_are_counted(captioner: Captioner, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = captioner.most_image_tokens + 1
    monkeypatch.setattr(type(captioner), "most_image_tokens", property(lambda _: wanted))
    with pytest.raises(UserError, match="image placeholders"):
        CaptionCollator(captioner, captioner.default_prompt)(rows())


@pytest.mark.parametrize("beams", [1, 3])
def test_batches_and_order_change_no_caption(captioner: Captioner, beams: int) -> None:
    decoding = {"beams": beams, "max_new_tokens": 8}
    photos = [photo(seed) for seed in range(5)]
    together = captions_of(captioner, photos, **decoding)
    alone = [captions_of(captioner, [one], **decoding)[0] for one in photos]
    backwards = captions_of(captioner, photos[::-1], **decoding)[::-1]
    assert [g.caption for g in together] == [g.caption for g in alone] == [g.caption for g in backwards]
    assert [g.logprob for g in together] == pytest.approx([g.logprob for g in alone], abs=1e-4)


def test_log_probability_is_that_of_the_forced_caption(captioner: Captioner) -> None:
    """Greedy: the mean over generated tokens equals minus the loss of a forward pass over the same tokens."""
    generated = captions_of(captioner, [photo(1)], max_new_tokens=6)[0]
    prompt = captioner.checked_inputs([photo(1)], [captioner.default_prompt])
    output = captioner.model.generate(**prompt, max_new_tokens=6, do_sample=False, eos_token_id=captioner.stop_token_id)
    new = output[:, -generated.tokens :]
    ids = torch.cat([prompt["input_ids"], new], dim=1)
    labels = torch.cat([torch.full_like(prompt["input_ids"], IGNORED), new], dim=1)
    inputs = {"pixel_values": prompt["pixel_values"], "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        losses, counts = caption_losses(captioner.model, inputs | {"labels": labels})
    assert generated.logprob == pytest.approx(-(losses / counts).item(), abs=1e-4)


@pytest.mark.slow
def test_a_trained_caption_ends_by_itself(captioner: Captioner) -> None:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    optimizer = torch.optim.AdamW(captioner.model.parameters(), lr=3e-3)
    for _ in range(150):
        losses, counts = caption_losses(captioner.model, batch)
        (losses.sum() / counts.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    captioner.model.eval()
    generated = captions_of(captioner, [photo(number) for number in range(4)], max_new_tokens=120)
    assert [one.caption for one in generated] == CAPTIONS
    assert all(one.finished for one in generated)


def test_a_caption_cut_at_the_limit_is_not_finished(captioner: Captioner) -> None:
    generated = captions_of(captioner, [photo(0)], max_new_tokens=1)[0]
    assert (generated.tokens, generated.finished) == (1, False)


def test_line_breaks_do_not_end_a_training_caption(captioner: Captioner) -> None:
    tokens = captioner.caption_tokens("one\ntwo\r\nthree", captioner.default_prompt)
    assert tokens.count(captioner.stop_token_id) == 1
    assert captioner.tokenizer.decode(tokens[:-1]).strip() == "one two three"


def test_saved_and_loaded_it_writes_the_same(captioner: Captioner, tmp_path: Path) -> None:
    captioner.model.save_pretrained(tmp_path)
    captioner.processor.save_pretrained(tmp_path)
    again = load_tiny(tmp_path)
    written, again_written = (captions_of(one, [photo(0)], max_new_tokens=8) for one in (captioner, again))
    assert written == again_written


def test_bfloat16_trains_and_writes(family_base: Path) -> None:
    captioner = load_tiny(family_base, dtype="bfloat16")
    assert captioner.model.get_input_embeddings().weight.dtype == torch.bfloat16
    losses, _ = caption_losses(captioner.model, CaptionCollator(captioner, captioner.default_prompt)(rows()))
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert captions_of(captioner, [photo(0)], max_new_tokens=4)[0].tokens <= 4


def test_memory_that_does_not_suffice_is_not_called_damage(
    captioner: Captioner, family_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    attach(captioner, Tune(), Lora(rank=2))
    captioner.model.save_pretrained(tmp_path)
    other = load_tiny(family_base)
    monkeypatch.setattr(PeftModel, "from_pretrained", fail)
    with pytest.raises(torch.OutOfMemoryError):
        load_adapter(other, str(tmp_path))
    monkeypatch.setattr(type(other.model), "from_pretrained", fail)
    with pytest.raises(UserError, match="out of memory while loading it"):
        load_tiny(family_base)


def test_every_parameter_has_a_tower(captioner: Captioner) -> None:
    towers = {captioner.tower_of(name) for name, _ in captioner.model.named_parameters()}
    assert towers == {"vision", "connector", "language"}


@pytest.mark.parametrize("modules", ["query-value", "all-linear"])
@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("towers", [*((tower,) for tower in TOWERS), TOWERS], ids="+".join)
def test_what_is_trained_is_in_its_tower_and_gets_a_gradient(
    captioner: Captioner, towers: tuple[str, ...], tuning: str, modules: str
) -> None:
    """A pattern that is too wide tunes another tower; a weight without a gradient stops distributed training."""
    tune = Tune(**{"language": "frozen"} | dict.fromkeys(towers, tuning))  # type: ignore[arg-type]
    attach(captioner, tune, Lora(rank=2, dropout=0, modules=modules))  # type: ignore[arg-type]
    losses, _ = caption_losses(captioner.model, CaptionCollator(captioner, captioner.default_prompt)(rows()))
    losses.sum().backward()
    trained = {name: one.grad for name, one in captioner.model.named_parameters() if one.requires_grad}
    assert [name for name, gradient in trained.items() if gradient is None] == []
    assert {captioner.tower_of(name.removeprefix("base_model.model.")) for name in trained} == set(towers)


@pytest.mark.slow
@pytest.mark.parametrize("tune", [{}, {"connector": "full"}, dict.fromkeys(TOWERS, "full")], ids=str)
def test_a_checkpoint_gives_back_every_trained_weight(
    captioner: Captioner, tune: dict[str, str], tmp_path: Path
) -> None:
    """Training continues by it, and by it the weights of the best epoch are kept."""
    attach(captioner, Tune(**tune), Lora(rank=2))  # type: ignore[arg-type]
    collate = CaptionCollator(captioner, captioner.default_prompt)
    config = Training(epochs=1, batch_size=4, learning_rate=1e-3, workers=0, tracker="none")
    trainer = CaptionTrainer(
        model=captioner.model,
        args=training_arguments(config, tmp_path, 1),
        train_dataset=rows(),
        eval_dataset=rows(),
        data_collator=collate,
        eval_collator=collate,
    )
    trainer.train()
    trained = {name: one for name, one in captioner.model.named_parameters() if one.requires_grad}
    before = {name: one.detach().clone() for name, one in trained.items()}
    with torch.no_grad():
        for one in trained.values():
            one.add_(1)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert [name for name, one in trained.items() if not torch.equal(one, before[name])] == []


def test_padding_before_the_prompt_changes_no_caption(captioner: Captioner) -> None:
    """As `generate` of transformers pads prompts of different lengths."""
    inputs = captioner.checked_inputs([photo(3)], [captioner.default_prompt])
    padded = dict(inputs)
    pads = torch.full((1, 5), captioner.tokenizer.pad_token_id)
    padded["input_ids"] = torch.cat([pads, inputs["input_ids"]], dim=1)
    padded["attention_mask"] = torch.cat([torch.zeros_like(pads), inputs["attention_mask"]], dim=1)
    one, other = (
        captioner.model.generate(**batch, max_new_tokens=6, do_sample=False, eos_token_id=captioner.stop_token_id)[
            :, -6:
        ]
        for batch in (inputs, padded)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize("beams", [1, 2])
def test_photos_of_a_batch_may_have_prompts_of_different_lengths(captioner: Captioner, beams: int) -> None:
    prompts = [captioner.default_prompt + wording for wording in ("", "a red dress with long sleeves and", "blue")]
    photos, decoding = [photo(seed) for seed in range(3)], Decoding(beams=beams, max_new_tokens=8)
    together = generate(captioner, photos, prompts, decoding)
    alone = [generate(captioner, [one], [prompt], decoding)[0] for one, prompt in zip(photos, prompts, strict=True)]
    assert [one.caption for one in together] == [one.caption for one in alone]
    assert [one.logprob for one in together] == pytest.approx([one.logprob for one in alone], abs=1e-4)


def test_captions_behind_prompts_of_different_lengths_have_the_losses_that_they_have_alone(
    captioner: Captioner,
) -> None:
    prompts = [captioner.default_prompt + wording for wording in ("", "a red dress with long sleeves and", "blue")]
    photos = [photo(seed) for seed in range(3)]
    captions = [torch.tensor(captioner.caption_tokens(CAPTIONS[place], prompts[place])) for place in range(3)]

    def losses(places: list[int]) -> torch.Tensor:
        inputs = captioner.checked_inputs([photos[place] for place in places], [prompts[place] for place in places])
        batch = append_captions(inputs, [captions[place] for place in places], captioner.tokenizer.pad_token_id)
        for place, labels in zip(places, batch["labels"], strict=True):
            assert torch.equal(labels[labels != IGNORED], captions[place])
        return caption_losses(captioner.model, batch)[0]

    with torch.no_grad():
        torch.testing.assert_close(losses([0, 1, 2]), torch.cat([losses([0]), losses([1]), losses([2])]))


def test_a_pattern_that_reaches_another_tower_is_refused(captioner: Captioner, monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = {"language": {"query-value": r".*(q_proj|v_proj|qkv)"}}
    monkeypatch.setattr(type(captioner), "lora_targets", captioner.lora_targets | everywhere)
    with pytest.raises(UserError, match="language should be trained, but"):
        attach(captioner, Tune(), Lora(rank=2))


def test_a_model_of_another_family_is_refused(family_base: Path, family: str) -> None:
    other = next(name for name in FAMILIES if name != family)
    with pytest.raises(UserError, match=f"model.family {other!r} needs"):
        load_tiny(family_base, other)
    assert family_of(str(family_base)) == family


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no \\*.safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: expected a JSON object"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "opt"}'), "model_type is 'opt'"),
        (lambda folder: _truncate(folder / "model.safetensors"), "the file is damaged"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "expected a processor"),
    ],
)
def test_a_spoilt_folder_is_one_message(
    family_base: Path, family: str, tmp_path: Path, spoil: object, message: str
) -> None:
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for file in family_base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        load_tiny(folder, family)


def test_a_folder_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_tiny(tmp_path / "absent")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])
