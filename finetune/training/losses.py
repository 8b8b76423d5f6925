"""The loss: cross-entropy of the labelled tokens, item by item."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.functional import cross_entropy

IGNORED = -100


def caption_losses(model: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Per item: summed cross-entropy (n,) of its labelled tokens, in float32 and nats, and their number (n,).

    Everything in the batch but `labels` (n, t) is an input of the model. Logits are computed from the first labelled
    column on.
    """
    labels = batch["labels"]
    labelled = (labels != IGNORED).any(0).nonzero()
    first = int(labelled[0]) if len(labelled) else labels.shape[1] - 1
    columns = labels.shape[1] - first + 1
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits = model(**inputs, logits_to_keep=columns).logits[:, -columns:-1].float()
    targets = labels[:, first:]
    losses = cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none").sum(1)
    return losses, (targets != IGNORED).sum(1)
