"""Gradient checkpointing: layers compute their activations again in the backward pass rather than keep them."""

from functools import partial

from torch.utils.checkpoint import checkpoint

from finetune.config.recipe import Tune
from finetune.models import adapters
from finetune.models.families.base import TOWERS, Captioner


def checkpoint_towers(captioner: Captioner, tune: Tune) -> None:
    """Checkpoint each layer of the first trained tower and of those after it, through which its gradient comes.

    Towers before it take no part in the backward pass and stay as they are: `gradient_checkpointing_enable` of
    transformers makes the inputs of every tower require a gradient, frozen ones too. Call it after `adapters.attach`.
    """
    prefixes = tuple(prefix for tower in in_backward(tune) for prefix in captioner.towers[tower])
    for name, module in captioner.model.named_modules():
        inside = f"{name.removeprefix(adapters.PEFT_PREFIX)}.".startswith(prefixes)
        if inside and hasattr(module, "gradient_checkpointing"):
            module.gradient_checkpointing = True
            module._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)


def in_backward(tune: Tune) -> tuple[str, ...]:
    """The towers that the gradient comes through: the first trained one and all after it."""
    adapted, full = adapters.tuned_towers(tune)
    return TOWERS[min(TOWERS.index(tower) for tower in (*adapted, *full)) :]
