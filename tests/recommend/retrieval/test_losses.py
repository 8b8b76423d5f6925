"""Losses of composed retrieval, against arithmetic that makes every difference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from recommend.retrieval.losses import cosines, infonce, soft_targets
from recommend.retrieval.search import Gallery

DRAW = np.random.default_rng(3)
TARGETS, REFERENCES, TEXTS = (DRAW.normal(size=(5, 4)) for _ in range(3))
TENSORS = tuple(torch.from_numpy(one) for one in (TARGETS, REFERENCES, TEXTS))
SCALE = torch.tensor(7.0)


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def test_infonce_against_targets_compares_each_reference_with_all_targets() -> None:
    differences = unit(TARGETS[None] - REFERENCES[:, None])
    expected = np.einsum("id,ijd->ij", unit(TEXTS), differences)
    np.testing.assert_allclose(cosines(*TENSORS[:2], torch.from_numpy(unit(TEXTS))).numpy(), expected, atol=1e-12)
    loss = -np.diag(log_softmax(7 * expected, axis=1)).mean()
    assert float(infonce(*TENSORS, SCALE, "targets").value) == pytest.approx(loss)


def test_infonce_against_pairs_goes_both_ways() -> None:
    logits = 7 * unit(TEXTS) @ unit(TARGETS - REFERENCES).T
    both = [-np.diag(log_softmax(logits, axis=axis)).mean() for axis in (0, 1)]
    assert float(infonce(*TENSORS, SCALE, "pairs").value) == pytest.approx(np.mean(both))


@pytest.mark.parametrize("negatives", ["targets", "pairs"])
def test_chance_is_the_logarithm_of_the_batch(negatives: str) -> None:
    loss = infonce(*TENSORS, torch.tensor(0.0), negatives)
    assert float(loss.value) == pytest.approx(math.log(5))


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_reference_among_the_targets_scores_0_as_in_search(seed: int) -> None:
    """In float32 rounding alone would give such a pair any score."""
    draw = torch.Generator().manual_seed(seed)
    targets, directions = (torch.randn(4, 256, generator=draw) for _ in range(2))
    references = targets.flip(0).clone()
    targets.requires_grad_()
    scores = cosines(targets, references, torch.nn.functional.normalize(directions, dim=-1))
    assert scores.flip(1).diagonal().tolist() == [0.0] * 4
    gallery = Gallery(list("abcd"), targets.detach().numpy())
    expected = [gallery.scores(one.numpy(), text.numpy()) for one, text in zip(references, directions, strict=True)]
    np.testing.assert_allclose(scores.detach().numpy(), expected, atol=1e-5)
    infonce(targets, references, directions, SCALE, "targets").value.backward()
    assert targets.grad is not None and float(targets.grad.abs().max()) < 1


def test_soft_targets_are_the_paper_s_pseudocode_and_their_excess_is_what_can_be_learnt() -> None:
    differences, temperature = TARGETS - REFERENCES, 2.0
    logits = TEXTS @ differences.T / temperature
    labels = softmax((differences @ differences.T + TEXTS @ TEXTS.T) / 2 * temperature, axis=1)
    losses = [-(p * log_softmax(x, axis=1)).sum(axis=1).mean() for x, p in ((logits, labels), (logits.T, labels.T))]
    entropies = [-(p * np.log(p / p.sum(axis=1, keepdims=True))).sum(axis=1).mean() for p in (labels, labels.T)]
    found = soft_targets(*TENSORS, temperature)
    assert float(found.value) == pytest.approx(np.mean(losses))
    assert float(found.excess) == pytest.approx(np.mean(losses) - np.mean(entropies))
