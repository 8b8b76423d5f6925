"""Losses of a batch of n pairs, given the vectors (n, d) of targets, references and texts. Imports PyTorch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize, softmax

_NEAR = 1e-6  # |t-r|^2 / (|t|^2 + |r|^2) below which only rounding is left of a difference


@dataclass(frozen=True)
class Losses:
    """The mean loss of a batch, and how far it is above the least that its labels allow, which for InfoNCE is 0."""

    value: Tensor
    excess: Tensor


def infonce(targets: Tensor, references: Tensor, texts: Tensor, scale: Tensor, negatives: str | None) -> Losses:
    """InfoNCE (van den Oord et al. 2018) of cosines between texts and differences, times `scale`; chance is ln n.

    `targets`: a text and its reference against the batch's targets, as in search. `pairs`: texts against the
    differences of all pairs, both ways, as in CLIP and in the paper.
    """
    labels = torch.arange(len(texts), device=texts.device)
    directions = normalize(texts, dim=-1)
    if negatives == "pairs":
        logits = scale * directions @ normalize(targets - references, dim=-1).T
        value = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2
    else:
        value = cross_entropy(scale * cosines(targets, references, directions), labels)
    return Losses(value, value)


def cosines(targets: Tensor, references: Tensor, directions: Tensor) -> Tensor:
    """(n, n): of each text and reference, in rows, with each target; the formula of `search`, nothing materialised.

    A target that equals the reference, or nearly so, has a score of 0, without a gradient.
    """
    along = directions @ targets.T - (directions * references).sum(-1, keepdim=True)
    lengths = (references**2).sum(-1)[:, None] + (targets**2).sum(-1)[None]
    squared = lengths - 2 * references @ targets.T
    near = squared <= _NEAR * lengths
    scores = along / torch.where(near, 1.0, squared).sqrt()
    return torch.where(near, 0.0, scores.clamp(-1, 1))


def soft_targets(targets: Tensor, references: Tensor, texts: Tensor, temperature: float) -> Losses:
    """The paper's loss (Figure 2), with the temperature where its model, Simple CLIP (Shariatnia 2021), has it.

    Labels are the batch's own similarities, so that the least loss is their entropy, not 0; `excess` is what is above.
    """
    differences = targets - references
    logits = texts @ differences.T / temperature
    labels = softmax((differences @ differences.T + texts @ texts.T) / 2 * temperature, dim=-1)
    value = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels.T)) / 2
    excess = (_divergence(logits, labels) + _divergence(logits.T, labels.T)) / 2
    return Losses(value, excess)


def _divergence(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross entropy less that of the best logits; rows of transposed labels do not sum to 1."""
    best = torch.log((labels / labels.sum(-1, keepdim=True)).clamp(min=1e-30))
    return (labels * (best - log_softmax(logits, dim=-1))).sum(-1).mean()
