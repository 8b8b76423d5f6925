"""From rows of a catalogue to training batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import pad

from finetune.config.recipe import Labels
from finetune.models.families.base import Captioner
from metrics.common.errors import UserError
from metrics.common.images import to_rgb

IGNORED = -100
LONGEST_EXTRA = 2  # a token holds a byte at the least; the blank before and the stop token come on top


class CaptionCollator:
    """Batches rows with `image` and `caption`, padded on the right, to the longest of the batch or to `labels.pad_to`.

    `labels` says which tokens carry a label, by default the caption and its stop token; all others are -100, and all
    of a row that is `idle`.
    Returns `pixel_values` (n, 3, h, w), and `input_ids`, `attention_mask`, `labels` (n, t).
    """

    def __init__(self, captioner: Captioner, prompt: str, labels: Labels | None = None) -> None:
        self.captioner = captioner
        self.prompt = prompt
        self.labels = labels or Labels()

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Make one batch. Raises `UserError` where a row has nothing to learn from."""
        images = [to_rgb(row["image"]) for row in rows]
        batch = self.captioner.checked_inputs(images, self.prompt)
        room = self.captioner.context - batch["input_ids"].shape[1]
        captions = [torch.tensor(self._tokens(row["caption"], room), dtype=torch.long) for row in rows]
        made = append_captions(batch, captions, self.captioner.tokenizer.pad_token_id, self.labels)
        made["labels"][[bool(row.get("idle")) for row in rows]] = IGNORED
        return made

    def _tokens(self, caption: str, room: int) -> list[int]:
        ids = self.captioner.caption_tokens(caption, self.prompt, room)
        ids = ids if self.labels.stop_token else ids[:-1]
        if not ids and self.labels.on == "caption":
            raise UserError(f"caption {caption!r}: no token of it carries a label; set labels.stop_token: true")
        return ids


def too_long(captioner: Captioner, prompt: str, captions: Sequence[str], room: int | None = None) -> list[int]:
    """Positions of the captions of more than `room` tokens, by default those that `CaptionCollator` cuts.

    Raises `UserError` where the prompt alone leaves no room.
    """
    room = captioner.room(prompt) if room is None else room
    return [
        place
        for place, caption in enumerate(captions)
        if len(caption.encode()) + LONGEST_EXTRA > room and len(captioner.caption_tokens(caption, prompt)) > room
    ]


def check_padding(captioner: Captioner, prompt: str, labels: Labels, captions: Sequence[str]) -> None:
    """Raise `UserError` where rows of `labels.pad_to` tokens are longer than the model reads, or shorter than a row."""
    if labels.pad_to is None:
        return
    if labels.pad_to > captioner.context:
        raise UserError(
            f"labels.pad_to: {labels.pad_to} is more than the {captioner.context} tokens the model can read"
        )
    taken = captioner.context - captioner.room(prompt)
    longer = too_long(captioner, prompt, captions, labels.pad_to - taken)
    if longer:
        raise UserError(
            f"labels.pad_to: {labels.pad_to} is less than {len(longer):,} of {len(captions):,} training captions take "
            f"behind {taken} tokens of placeholders and prompt, such as {captions[longer[0]]!r}; raise it"
        )


def append_captions(
    prompt: Mapping[str, torch.Tensor],
    captions: Sequence[torch.Tensor],
    pad_token_id: int,
    labels: Labels | None = None,
) -> dict[str, torch.Tensor]:
    """Put the captions behind equally long prompts, pad and label them.

    Padding that carries a label is read too, as in the published code. The first token has nothing to be told from.
    """
    labels = labels or Labels()
    taken = prompt["input_ids"].shape[1]
    width = max((labels.pad_to or 0) - taken, *(len(caption) for caption in captions))

    def behind(before: torch.Tensor, rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
        return torch.cat([before, torch.stack([pad(row, (0, width - len(row)), value=value) for row in rows])], dim=1)

    input_ids = behind(prompt["input_ids"], captions, pad_token_id)
    attended = behind(prompt["attention_mask"], [torch.ones_like(caption) for caption in captions], 0)
    labelled = attended.bool() if labels.on == "prompt" else torch.ones_like(input_ids, dtype=torch.bool)
    if labels.on == "caption":
        labelled = attended.bool()
        labelled[:, :taken] = False
    labelled[:, 0] = False
    return {
        "pixel_values": prompt["pixel_values"],
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(attended) if labels.on == "all" else attended,
        "labels": input_ids.masked_fill(~labelled, IGNORED),
    }
