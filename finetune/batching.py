"""From rows of a catalogue to training batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from finetune.families.base import Captioner
from metrics.images import to_rgb

IGNORED = -100
LONGEST_EXTRA = 2  # a token holds a byte at the least; the blank before and the stop token come on top


class CaptionCollator:
    """Batches rows with `image` and `caption`, padded on the right to the longest of the batch.

    Only the caption and its stop token carry a label; placeholders, prompt and padding are -100.
    Rows that are `idle` carry none.
    Returns `pixel_values` (n, 3, h, w), and `input_ids`, `attention_mask`, `labels` (n, t).
    """

    def __init__(self, captioner: Captioner, prompt: str) -> None:
        self.captioner = captioner
        self.prompt = prompt

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Make one batch."""
        images = [to_rgb(row["image"]) for row in rows]
        batch = self.captioner.checked_inputs(images, self.prompt)
        room = self.captioner.context - batch["input_ids"].shape[1]
        captions = [self.captioner.caption_tokens(row["caption"], self.prompt, room) for row in rows]
        made = append_captions(batch, [torch.tensor(ids) for ids in captions], self.captioner.tokenizer.pad_token_id)
        made["labels"][[bool(row.get("idle")) for row in rows]] = IGNORED
        return made


def too_long(captioner: Captioner, prompt: str, captions: Sequence[str]) -> list[int]:
    """Positions of the captions that `CaptionCollator` cuts, since the model cannot read all of them.

    Raises `UserError` where the prompt alone leaves no room.
    """
    room = captioner.room(prompt)
    return [
        place
        for place, caption in enumerate(captions)
        if len(caption.encode()) + LONGEST_EXTRA > room and len(captioner.caption_tokens(caption, prompt)) > room
    ]


def append_captions(
    prompt: Mapping[str, torch.Tensor], captions: Sequence[torch.Tensor], pad_token_id: int
) -> dict[str, torch.Tensor]:
    """Put the captions behind equally long prompts and label them."""

    def pad(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)

    ignored = torch.full_like(prompt["input_ids"], IGNORED)
    return {
        "pixel_values": prompt["pixel_values"],
        "input_ids": torch.cat([prompt["input_ids"], pad(captions, pad_token_id)], dim=1),
        "attention_mask": torch.cat([prompt["attention_mask"], pad([torch.ones_like(c) for c in captions], 0)], dim=1),
        "labels": torch.cat([ignored, pad(captions, IGNORED)], dim=1),
    }
