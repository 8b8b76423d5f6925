"""From rows of a catalogue to training batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import pad

from finetune.config.recipe import Labels
from finetune.models.families.base import TOKEN_INPUTS, Batch, Captioner
from finetune.training.losses import IGNORED
from metrics.common.errors import UserError
from metrics.photos.colours import to_rgb

MOST_EXTRA_TOKENS = 2  # a token holds one byte or more; the blank before and the stop token come on top


class CaptionCollator:
    """Batches rows with `image` and `caption`, padded on the right, to the longest of the batch or to `labels.pad_to`.

    A row may have `features` in the place of `image`, if the family encodes them.
    `labels` says which tokens carry a label, by default the caption and its stop token; all others are -100, and all
    of a row that is `idle`.
    Returns the family's inputs with captions appended (see `append_captions`) and `labels` (n, t).
    """

    def __init__(self, captioner: Captioner, prompt: str, labels: Labels | None = None) -> None:
        self.captioner = captioner
        self.prompt = prompt
        self.labels = labels or Labels()

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """Make one batch. Raises `UserError` if a row has nothing to learn from."""
        images = [row["features"] if "features" in row else to_rgb(row["image"]) for row in rows]
        inputs = self.captioner.checked_inputs(images, [self.prompt] * len(rows))
        rooms = (self.captioner.context - inputs["attention_mask"].sum(1)).tolist()
        captions = [self._tokens(row["caption"], room) for row, room in zip(rows, rooms, strict=True)]
        batch = append_captions(inputs, captions, self.captioner.tokenizer.pad_token_id, self.labels)
        batch["labels"][[bool(row.get("idle")) for row in rows]] = IGNORED
        return batch

    def _tokens(self, caption: str, room: int) -> torch.Tensor:
        ids = self.captioner.caption_tokens(caption, self.prompt, room)
        ids = ids if self.labels.stop_token else ids[:-1]
        if not ids and self.labels.on == "caption":
            raise UserError(f"caption {caption!r}: no token of it carries a label; set labels.stop_token: true")
        return torch.tensor(ids, dtype=torch.long)


def append_captions(
    inputs: Mapping[str, torch.Tensor],
    captions: Sequence[torch.Tensor],
    pad_token_id: int,
    labels: Labels | None = None,
) -> Batch:
    """Put a caption behind each prompt, pad on the right and label.

    `inputs` are those of `Captioner.encode`: padding of the prompts is removed, integers that describe each token get 0
    for the caption, and what belongs to the photos stays as it is.
    Padding that carries a label is attended to, as in the published code. A row's first token never carries one:
    nothing predicts it.
    """
    labels = labels or Labels()
    attended = inputs["attention_mask"].bool()
    lengths = attended.sum(1)
    width = max(labels.pad_to or 0, *(int(n) + len(caption) for n, caption in zip(lengths, captions, strict=True)))

    def extended(tokens: torch.Tensor, ends: Sequence[torch.Tensor], padding: int = 0) -> torch.Tensor:
        rows = [torch.cat([row[own], end]) for row, own, end in zip(tokens, attended, ends, strict=True)]
        return torch.stack([pad(row, (0, width - len(row)), value=padding) for row in rows])

    texts = [torch.zeros_like(caption) for caption in captions]
    of_tokens = {name: value for name, value in inputs.items() if name in TOKEN_INPUTS}
    batch = {**inputs, **{name: extended(value, texts) for name, value in of_tokens.items()}}
    batch["input_ids"] = extended(inputs["input_ids"], captions, pad_token_id)
    batch["attention_mask"] = extended(inputs["attention_mask"], [torch.ones_like(caption) for caption in captions])
    labelled = _labelled(batch["attention_mask"].bool(), lengths, labels)
    if labels.on == "all":
        batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
    return batch | {"labels": batch["input_ids"].masked_fill(~labelled, IGNORED)}


def _labelled(attended: torch.Tensor, prompts: torch.Tensor, labels: Labels) -> torch.Tensor:
    """Which tokens (n, t) carry a label; `prompts` (n,) are the lengths of the prompts."""
    places = torch.arange(attended.shape[1])
    if labels.on == "caption":
        return attended & (places >= prompts[:, None]) & (places > 0)
    return (attended if labels.on == "prompt" else torch.ones_like(attended)) & (places > 0)


def too_long(captioner: Captioner, prompt: str, captions: Sequence[str], room: int | None = None) -> list[int]:
    """Positions of the captions of more than `room` tokens, by default those that `CaptionCollator` may cut.

    Raises `UserError` if the prompt alone leaves no room.
    """
    room = captioner.room(prompt) if room is None else room
    return [
        place
        for place, caption in enumerate(captions)
        if len(caption.encode()) + MOST_EXTRA_TOKENS > room and len(captioner.caption_tokens(caption, prompt)) > room
    ]


def check_padding(captioner: Captioner, prompt: str, labels: Labels, captions: Sequence[str]) -> None:
    """Raise `UserError` if rows of `labels.pad_to` tokens are longer than the model reads, or shorter than a row."""
    if labels.pad_to is None:
        return
    if labels.pad_to > captioner.context:
        raise UserError(
            f"labels.pad_to: {labels.pad_to} is more than the {captioner.context} tokens the model can read"
        )
    used = captioner.context - captioner.room(prompt)
    longer = too_long(captioner, prompt, captions, labels.pad_to - used)
    if longer:
        raise UserError(
            f"labels.pad_to: {labels.pad_to} is less than {len(longer):,} of {len(captions):,} training captions take "
            f"behind {used} tokens of placeholders and prompt, such as {captions[longer[0]]!r}; raise it"
        )
