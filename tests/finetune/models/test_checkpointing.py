"""Gradient checkpointing: the same gradients from less memory, frozen towers left out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import load_tiny, rows

from finetune.config.recipe import Lora, Tune
from finetune.models import adapters
from finetune.models.families.base import Captioner
from finetune.models.gradient_checkpointing import checkpoint_towers
from finetune.training.collator import CaptionCollator
from finetune.training.losses import caption_losses

TUNES = [
    {"language": "lora"},
    {"language": "full"},
    {"vision": "lora", "language": "frozen"},
    {"connector": "lora", "language": "frozen"},
    {"connector": "full", "language": "lora"},
    {"vision": "full", "connector": "full", "language": "full"},
]


def prepared(base: Path, tune: Tune, *, checkpointed: bool) -> Captioner:
    torch.manual_seed(0)
    captioner = load_tiny(base)
    adapters.attach(captioner, tune, Lora(rank=4, modules="all-linear", dropout=0.1))
    for name, parameter in captioner.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.02)
    if checkpointed:
        checkpoint_towers(captioner, tune)
    captioner.model.train()
    return captioner


def loss_of(captioner: Captioner) -> torch.Tensor:
    batch = CaptionCollator(captioner, captioner.default_prompt)(rows())
    torch.manual_seed(1)
    losses, counts = caption_losses(captioner.model, batch)
    return losses.sum() / counts.sum()


def gradients(captioner: Captioner) -> dict[str, torch.Tensor]:
    return {name: weight.grad for name, weight in captioner.model.named_parameters() if weight.grad is not None}


@contextmanager
def saved_bytes() -> Iterator[list[int]]:
    """Bytes of the distinct tensors that autograd keeps."""
    kept: dict[int, int] = {}
    total = [0]

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
    total[0] = sum(kept.values())


@pytest.mark.parametrize("values", TUNES, ids=lambda values: "-".join(f"{k}.{v}" for k, v in values.items()))
def test_loss_and_gradients_are_the_same(family_base: Path, values: dict[str, Any]) -> None:
    """Dropout among them: the second forward pass draws what the first one drew."""
    tune = Tune(**values)
    found = []
    for checkpointed in (False, True):
        captioner = prepared(family_base, tune, checkpointed=checkpointed)
        with saved_bytes() as kept:
            loss = loss_of(captioner)
        loss.backward()
        found.append((loss.item(), gradients(captioner), kept[0]))
    (loss, plain, much), (checked_loss, checked, little) = found
    assert checked_loss == loss
    assert plain.keys() == checked.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(checked[name], gradient, rtol=1e-4, atol=1e-7)
    assert any(bool(gradient.any()) for gradient in plain.values())
    if values != {"connector": "full", "language": "lora"}:
        assert little < much


@pytest.mark.parametrize(
    ("values", "checkpointed"),
    [
        ({"language": "lora"}, {"language"}),
        ({"connector": "lora", "language": "frozen"}, {"connector", "language"}),
        ({"vision": "lora", "language": "frozen"}, {"vision", "connector", "language"}),
    ],
)
def test_towers_before_the_trained_one_stay_out_of_autograd(
    family_base: Path, values: dict[str, Any], checkpointed: set[str]
) -> None:
    captioner = prepared(family_base, Tune(**values), checkpointed=True)
    layers: dict[str, int] = {}
    entered: dict[str, bool] = {}
    for name, module in captioner.model.named_modules():
        plain = name.removeprefix(adapters.PEFT_PREFIX)
        if ".layers." in name and hasattr(module, "gradient_checkpointing"):
            tower = captioner.tower_of(plain)
            layers[tower] = layers.get(tower, 0) + module.gradient_checkpointing
            module.register_forward_hook(
                lambda _, __, output, tower=tower: entered.update(
                    {tower: (output if torch.is_tensor(output) else output[0]).requires_grad}
                )
            )
    loss_of(captioner).backward()
    assert {tower for tower, count in layers.items() if count} == checkpointed & layers.keys()
    assert entered["vision"] == ("vision" in checkpointed)
    assert entered["language"]
