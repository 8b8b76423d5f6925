"""What the loss is counted on, as the recipe's `labels` say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import finetune
from tiny_models import CAPTIONS, load_tiny, photo, rows, write_recipe, write_tiny

from finetune.config.recipe import Labels
from finetune.models.families.base import Captioner
from finetune.training.collator import CaptionCollator, append_captions, check_padding
from finetune.training.losses import IGNORED, caption_losses
from metrics.common.errors import UserError

EVERY = [
    Labels(stop_token=stop, on=on, pad_to=width)
    for stop in (True, False)
    for on in ("caption", "prompt", "all")
    for width in (None, 160)
]  # type: ignore[arg-type]


def batch_of(captioner: Captioner, labels: Labels, count: int = 4) -> dict[str, torch.Tensor]:
    return CaptionCollator(captioner, captioner.default_prompt, labels=labels)(rows(count))


@pytest.mark.parametrize("labels", EVERY, ids=str)
def test_every_token_carries_a_label_or_none(captioner: Captioner, labels: Labels) -> None:
    prompt = captioner.checked_inputs([photo(0)], [captioner.default_prompt])["input_ids"][0].tolist()
    captions = [captioner.caption_tokens(caption, captioner.default_prompt) for caption in CAPTIONS]
    captions = [ids if labels.stop_token else ids[:-1] for ids in captions]
    width = labels.pad_to or len(prompt) + max(map(len, captions))
    batch = batch_of(captioner, labels)
    for place, caption in enumerate(captions):
        text = [*prompt, *caption]
        padding = [captioner.tokenizer.pad_token_id] * (width - len(text))
        parts = {
            "caption": [*[IGNORED] * len(prompt), *caption, *[IGNORED] * len(padding)],
            "prompt": [IGNORED, *text[1:], *[IGNORED] * len(padding)],
            "all": [IGNORED, *text[1:], *padding],
        }
        assert batch["input_ids"][place].tolist() == text + padding
        assert batch["labels"][place].tolist() == parts[labels.on]
        read = [1] * width if labels.on == "all" else [1] * len(text) + [0] * len(padding)
        assert batch["attention_mask"][place].tolist() == read


@pytest.mark.parametrize("labels", EVERY, ids=str)
def test_the_loss_is_that_of_the_labelled_tokens(captioner: Captioner, labels: Labels) -> None:
    """Token by token from the logits of all positions."""
    batch = batch_of(captioner, labels)
    with torch.no_grad():
        losses, counts = caption_losses(captioner.model, batch)
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        probabilities = captioner.model(**inputs).logits.float().softmax(-1)
    for row, targets in enumerate(batch["labels"].tolist()):
        expected = [
            -float(probabilities[row, place - 1, target].log())
            for place, target in enumerate(targets)
            if target != IGNORED
        ]
        assert counts[row] == len(expected)
        assert float(losses[row]) == pytest.approx(sum(expected), rel=1e-4)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    prompt=st.integers(1, 5),
    labels=st.builds(Labels, on=st.sampled_from(["caption", "prompt", "all"]), pad_to=st.none() | st.integers(1, 20)),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_rows_are_equally_long_and_lose_nothing(lengths: list[int], prompt: int, labels: Labels) -> None:
    ids = torch.arange(2, 2 + prompt).repeat(len(lengths), 1)
    prompts = {"pixel_values": torch.zeros(len(lengths)), "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    captions = [torch.arange(50, 50 + length) for length in lengths]
    batch = append_captions(prompts, captions, 0, labels)
    assert batch["input_ids"].shape[1] == max(prompt + max(lengths), labels.pad_to or 0)
    for row, length in enumerate(lengths):
        assert [token for token in batch["input_ids"][row].tolist() if token >= 50] == list(range(50, 50 + length))
    labelled = batch["labels"] != IGNORED
    assert torch.equal(batch["labels"][labelled], batch["input_ids"][labelled])
    expected = {"caption": sum(lengths), "prompt": sum(lengths) + (prompt - 1) * len(lengths)}
    assert int(labelled.sum()) == expected.get(labels.on, batch["input_ids"].numel() - len(lengths))


def test_padding_without_a_label_changes_no_loss(captioner: Captioner) -> None:
    with torch.no_grad():
        plain, _ = caption_losses(captioner.model, batch_of(captioner, Labels()))
        padded, _ = caption_losses(captioner.model, batch_of(captioner, Labels(pad_to=200)))
        trained, _ = caption_losses(captioner.model, batch_of(captioner, Labels(pad_to=200, on="all")))
    torch.testing.assert_close(padded, plain, rtol=1e-4, atol=1e-4)
    assert bool((trained > plain + 1).all())


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., list[float]]:
    """Train with these labels; all losses in order, of validation too."""

    def run(name: str, labels: dict[str, Any], **training: Any) -> list[float]:
        path = write_recipe(tmp_path, name, labels=labels, training=training, lora={"dropout": 0})
        result = finetune("train", path)
        assert result.exit_code == 0, result.output
        history = json.loads((tmp_path / name / "training.json").read_text())["loss_history"]
        return [entry.get("loss", entry.get("eval_loss")) for entry in history]

    return run


@pytest.mark.slow
def test_validation_counts_caption_tokens_whatever_is_trained(train: Callable[..., list[float]]) -> None:
    """At a rate that changes nothing, other training losses, the same validation loss."""
    still = {"learning_rate": 1e-12, "minimum_learning_rate": 0, "epochs": 1}
    ours = train("ours", {}, **still)
    theirs = train("theirs", {"stop_token": False, "on": "all", "pad_to": 128}, **still)
    assert theirs[-1] == pytest.approx(ours[-1], rel=1e-5)
    assert theirs[0] != pytest.approx(ours[0], rel=1e-3)


@pytest.mark.slow
def test_labelled_prompts_are_averaged_over_the_whole_batch(train: Callable[..., list[float]]) -> None:
    """Rows of different lengths, and so micro-batches of different numbers of labels."""
    halves = train("halves", {"on": "prompt"}, micro_batch_size=4)
    assert halves == pytest.approx(train("whole", {"on": "prompt"}), rel=1e-4)


@pytest.mark.parametrize(
    ("width", "message"),
    [
        (600, "labels.pad_to: 600 is more than the 512 tokens the model can read"),
        (12, "labels.pad_to: 12 is less than 24 of 24 training captions take"),
    ],
)
def test_a_width_that_does_not_fit_is_refused_before_training(tmp_path: Path, width: int, message: str) -> None:
    path = write_recipe(tmp_path, labels={"pad_to": width})
    result = finetune("train", path)
    assert (result.exit_code, result.stderr.count("error: ")) == (2, 1), result.output
    assert message in result.stderr
    assert not (tmp_path / "run" / "training.json").exists()


def test_the_narrowest_width_that_fits_is_taken(captioner: Captioner) -> None:
    prompt = captioner.default_prompt
    longest = max(len(captioner.caption_tokens(caption, prompt)) for caption in CAPTIONS)
    taken = captioner.checked_inputs([photo(0)], [prompt])["input_ids"].shape[1]
    check_padding(captioner, prompt, Labels(pad_to=taken + longest), CAPTIONS)
    with pytest.raises(UserError, match="less than 1 of 4"):
        check_padding(captioner, prompt, Labels(pad_to=taken + longest - 1), CAPTIONS)


def test_a_caption_without_any_label_is_refused(tmp_path: Path) -> None:
    captioner = load_tiny(write_tiny(tmp_path / "base"))
    silent = CaptionCollator(captioner, "", labels=Labels(stop_token=False))
    with pytest.raises(UserError, match="no token of it carries a label"):
        silent([{"image": photo(0), "caption": " "}])
