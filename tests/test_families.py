"""The contract of a model family. A new family joins FAMILIES and must pass every test."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import CAPTIONS, load_tiny, photo, rows, write_tiny

from finetune.batching import IGNORED, CaptionCollator
from finetune.config import Decoding
from finetune.families.base import Captioner
from finetune.trainer import caption_losses
from metrics.errors import UserError

FAMILIES = ("blip2",)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp(request.param) / "base", request.param)


@pytest.fixture
def captioner(base: Path) -> Captioner:
    return load_tiny(base)


def test_another_image_changes_the_loss(captioner: Captioner) -> None:
    collate = CaptionCollator(captioner, "")
    one, other = collate(rows(1)), collate([{"image": photo(99), "caption": CAPTIONS[0]}])
    with torch.no_grad():
        assert not torch.equal(caption_losses(captioner.model, one)[0], caption_losses(captioner.model, other)[0])


@pytest.mark.parametrize("prompt", ["", "a photo of"])
def test_only_caption_and_stop_token_carry_loss(captioner: Captioner, prompt: str) -> None:
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
        assert (ids == captioner.image_token_id).sum() == captioner.image_tokens


def test_training_pads_on_the_right(captioner: Captioner) -> None:
    mask = CaptionCollator(captioner, "")(rows())["attention_mask"]
    assert (mask.sum(1) < mask.shape[1]).any()
    assert torch.equal(mask.sort(dim=1, descending=True).values, mask)


def test_loss_equals_the_one_transformers_computes(captioner: Captioner) -> None:
    batch = CaptionCollator(captioner, "")(rows())
    with torch.no_grad():
        losses, counts = caption_losses(captioner.model, batch)
        expected = captioner.model(**batch).loss
    assert (losses.sum() / counts.sum()).item() == pytest.approx(expected.item(), rel=1e-5)


def test_padding_changes_no_loss(captioner: Captioner) -> None:
    collate = CaptionCollator(captioner, "")
    with torch.no_grad():
        together = caption_losses(captioner.model, collate(rows()))[0]
        alone = torch.cat([caption_losses(captioner.model, collate([row]))[0] for row in rows()])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_placeholders_are_counted(captioner: Captioner) -> None:
    captioner.processor.num_query_tokens = captioner.image_tokens - 1
    with pytest.raises(UserError, match="image placeholders"):
        CaptionCollator(captioner, "")(rows())


@pytest.mark.parametrize("beams", [1, 3])
def test_batches_and_order_change_no_caption(captioner: Captioner, beams: int) -> None:
    decoding = Decoding(beams=beams, max_new_tokens=8)
    photos = [photo(seed) for seed in range(5)]
    together = captioner.generate(photos, "", decoding)
    alone = [captioner.generate([one], "", decoding)[0] for one in photos]
    backwards = captioner.generate(photos[::-1], "", decoding)[::-1]
    assert [g.caption for g in together] == [g.caption for g in alone] == [g.caption for g in backwards]
    assert [g.logprob for g in together] == pytest.approx([g.logprob for g in alone], abs=1e-4)


def test_log_probability_is_that_of_the_forced_caption(captioner: Captioner) -> None:
    """Greedy: the mean over generated tokens equals minus the loss of a forward pass over the same tokens."""
    generated = captioner.generate([photo(1)], "", Decoding(max_new_tokens=6))[0]
    prompt = captioner.checked_inputs([photo(1)], "")
    output = captioner.model.generate(**prompt, max_new_tokens=6, do_sample=False, eos_token_id=captioner.stop_token_id)
    new = output[:, -generated.tokens :]
    ids = torch.cat([prompt["input_ids"], new], dim=1)
    labels = torch.cat([torch.full_like(prompt["input_ids"], IGNORED), new], dim=1)
    inputs = {"pixel_values": prompt["pixel_values"], "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        losses, counts = caption_losses(captioner.model, inputs | {"labels": labels})
    assert generated.logprob == pytest.approx(-(losses / counts).item(), abs=1e-4)


def test_a_trained_caption_ends_by_itself(captioner: Captioner) -> None:
    batch = CaptionCollator(captioner, "")(rows())
    optimizer = torch.optim.AdamW(captioner.model.parameters(), lr=3e-3)
    for _ in range(150):
        losses, counts = caption_losses(captioner.model, batch)
        (losses.sum() / counts.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    captioner.model.eval()
    generated = captioner.generate([row["image"] for row in rows()], "", Decoding(max_new_tokens=60))  # type: ignore[misc]
    assert [one.caption for one in generated] == CAPTIONS
    assert all(one.finished for one in generated)


def test_a_caption_cut_at_the_limit_is_not_finished(captioner: Captioner) -> None:
    generated = captioner.generate([photo(0)], "", Decoding(max_new_tokens=1))[0]
    assert (generated.tokens, generated.finished) == (1, False)


def test_line_breaks_do_not_end_a_training_caption(captioner: Captioner) -> None:
    tokens = captioner.caption_tokens("one\ntwo\r\nthree", "")
    assert tokens.count(captioner.stop_token_id) == 1
    assert captioner.tokenizer.decode(tokens[:-1]) == "one two three"


def test_saved_and_loaded_it_writes_the_same(captioner: Captioner, tmp_path: Path) -> None:
    captioner.model.save_pretrained(tmp_path)
    captioner.processor.save_pretrained(tmp_path)
    again = load_tiny(tmp_path)
    decoding = Decoding(max_new_tokens=8)
    assert again.generate([photo(0)], "", decoding) == captioner.generate([photo(0)], "", decoding)


def test_bfloat16_trains_and_writes(base: Path) -> None:
    captioner = load_tiny(base, dtype="bfloat16")
    assert captioner.model.language_model.dtype == torch.bfloat16
    if captioner.model_type == "blip-2":
        assert captioner.model.qformer.dtype == torch.float32
    losses, _ = caption_losses(captioner.model, CaptionCollator(captioner, "")(rows()))
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert captioner.generate([photo(0)], "", Decoding(max_new_tokens=4))[0].tokens <= 4


def test_every_parameter_has_a_tower(captioner: Captioner) -> None:
    towers = {captioner.tower_of(name) for name, _ in captioner.model.named_parameters()}
    assert towers == {"vision", "connector", "language"}


def test_checkpoints_of_before_the_image_token_load(base: Path, tmp_path: Path) -> None:
    """Hub checkpoints of BLIP-2 from before transformers 4.46: no image token, no query count in the processor."""
    captioner = load_tiny(base)
    old = len(captioner.tokenizer) - 1
    captioner.model.resize_token_embeddings(old)
    captioner.model.save_pretrained(tmp_path)
    captioner.processor.image_processor.save_pretrained(tmp_path)
    tokenizer = json.loads(captioner.tokenizer.backend_tokenizer.to_str())
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != "<image>"]
    captioner.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("config.json", "tokenizer_config.json"):
        values = json.loads((tmp_path / name).read_text())
        for key in (
            "image_token_index",
            "num_query_tokens",
            "added_tokens_decoder",
            "extra_special_tokens",
            "image_token",
        ):
            if not (name == "config.json" and key == "num_query_tokens"):
                values.pop(key, None)
        (tmp_path / name).write_text(json.dumps(values))
    assert load_file(tmp_path / "model.safetensors")["language_model.model.decoder.embed_tokens.weight"].shape[0] == old
    loaded = load_tiny(tmp_path)
    assert (loaded.image_token_id, loaded.image_tokens) == (old, 4)
    with torch.no_grad():
        one, other = (
            caption_losses(loaded.model, CaptionCollator(loaded, "")([{"image": photo(seed), "caption": "red hat"}]))[0]
            for seed in (0, 1)
        )
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no \\*.safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a model configuration"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "opt"}'), "model_type is 'opt'"),
        (lambda folder: _truncate(folder / "model.safetensors"), "cannot load"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "cannot load"),
    ],
)
def test_a_spoilt_folder_is_one_message(base: Path, tmp_path: Path, spoil: object, message: str) -> None:
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for file in base.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        load_tiny(folder)


def test_a_folder_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_tiny(tmp_path / "absent")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])
