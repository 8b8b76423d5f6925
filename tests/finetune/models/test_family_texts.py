"""The contract that every model family must pass: how prompts and captions become tokens."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import CAPTIONS, captions_of, photo

from finetune.models.families.base import Captioner
from finetune.training.collator import CaptionCollator, too_long
from finetune.training.losses import IGNORED, caption_losses
from metrics.common.errors import UserError


def test_tokens_of_a_caption_are_those_it_has_behind_its_prompt(captioner: Captioner) -> None:
    """The model meets in training what it is to write: a tokenizer may treat a text's beginning in a way of its own."""
    prompt = captioner.default_prompt + "\nIt is"
    for caption in CAPTIONS:
        whole = captioner.tokenizer(f"{prompt} {caption}")["input_ids"]
        assert (
            whole[-len(captioner.caption_tokens(caption, prompt)) + 1 :]
            == captioner.caption_tokens(caption, prompt)[:-1]
        )


def test_special_tokens_in_a_caption_are_plain_text(captioner: Captioner) -> None:
    tokens = captioner.caption_tokens("red <image> </s> <pad> dress", captioner.default_prompt)
    special = {captioner.image_token_id, captioner.tokenizer.pad_token_id, captioner.tokenizer.eos_token_id}
    assert special.isdisjoint(tokens[:-1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(caption=st.text(st.characters(codec="utf-8"), max_size=60), room=st.integers(2, 30))
def test_a_long_caption_is_cut_behind_a_word_and_still_ends(captioner: Captioner, caption: str, room: int) -> None:
    prompt = captioner.default_prompt
    whole, tokens = captioner.caption_tokens(caption, prompt), captioner.caption_tokens(caption, prompt, room)
    words, kept = caption.split(), captioner.tokenizer.decode(tokens[:-1]).split()
    assert len(tokens) <= room
    assert tokens[-1] == captioner.stop_token_id
    if len(whole) <= room:
        assert tokens == whole
    elif len(captioner.caption_tokens(words[0], prompt)) <= room:
        assert kept == words[: len(kept)]
        assert len(captioner.caption_tokens(" ".join(words[: len(kept) + 1]), prompt)) > room


def test_a_caption_longer_than_the_context_is_cut_and_named(captioner: Captioner) -> None:
    prompt, long = captioner.default_prompt, "red dress " * 400
    assert too_long(captioner, prompt, ["red dress", long, "hat"]) == [1]
    batch = CaptionCollator(captioner, prompt)([{"image": photo(0), "caption": long}])
    assert batch["input_ids"].shape[1] <= captioner.context
    assert (batch["input_ids"] == captioner.image_token_id).sum() == captioner.most_image_tokens
    assert batch["labels"][0, -1] == captioner.stop_token_id
    kept = captioner.tokenizer.decode(batch["labels"][0, batch["labels"][0] != IGNORED][:-1]).split()
    assert kept == long.split()[: len(kept)]
    assert len(kept) > 10
    with torch.no_grad():
        assert torch.isfinite(caption_losses(captioner.model, batch)[0]).all()


def test_a_prompt_that_leaves_no_room_is_refused(captioner: Captioner) -> None:
    with pytest.raises(UserError, match=r"takes .* of the 512 tokens"):
        too_long(captioner, captioner.default_prompt + "very " * 600, ["red dress"])
    with pytest.raises(UserError, match="max_new_tokens: 512 is more than"):
        captions_of(captioner, [photo(0)], max_new_tokens=512)


def test_a_prompt_with_other_placeholders_is_refused(captioner: Captioner) -> None:
    assert captioner.prompt_of(None) == captioner.default_prompt
    wanted = "<image>" * (captioner.prompt_placeholders + 1)
    with pytest.raises(UserError, match=f"expected {captioner.prompt_placeholders} <image>"):
        captioner.prompt_of(wanted)
