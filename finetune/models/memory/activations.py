"""What autograd saves of a forward pass, counted on layers without weights: nothing is loaded, nothing computed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.modeling_layers import GradientCheckpointingLayer

from finetune.models.adapters import PEFT_PREFIX
from finetune.models.families.base import BatchShape, Captioner

FUSED = "lookbook-fused"


class _Fused(torch.autograd.Function):
    """Saves what FlashAttention saves (Dao et al. 2022, algorithm 2): its inputs, its output, a sum for each row."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        photos, heads, tokens, width = query.shape
        output = query.new_empty(photos, tokens, heads, width)
        ctx.save_for_backward(query, key, value, output, query.new_empty(photos, heads, tokens, dtype=torch.float32))
        return output


def _attend(_: Any, query: Any, key: Any, value: Any, *__: Any, **___: Any) -> tuple[torch.Tensor, None]:
    return _Fused.apply(query, key, value), None  # type: ignore[no-untyped-call]


AttentionInterface.register(FUSED, _attend)


@contextmanager
def saved_tensors() -> Iterator[dict[int, int]]:
    """Bytes of each storage that autograd saves of what runs within the block, by its address."""
    sizes: dict[int, int] = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage._cdata] = storage.nbytes()
        held.append(storage)
        return tensor

    held: list[Any] = []  # so that no address is used twice
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        yield sizes


@dataclass(frozen=True)
class Activations:
    """Bytes of each layer's input, of all that each layer's backward pass needs, and of what is between layers."""

    inputs: list[int]
    layers: list[int]
    between: int

    def peak(self, *, checkpointed: bool) -> int:
        """Bytes at the end of the forward pass; of checkpointed layers the inputs, and one layer computed again."""
        return self.between + (sum(self.inputs) + max(self.layers) if checkpointed else sum(self.layers))


def activations_of(captioner: Captioner, towers: tuple[str, ...], shape: BatchShape) -> Activations:
    """What the backward pass through these towers needs beside weights and logits.

    Layers are counted as they are. Between them are the language tower's last norm, in float32, and if photos have
    a gradient some more of that size in which they join the text: within 15% of all, by `test_memory.py`.
    """
    sizes: list[tuple[int, int]] = []
    with torch.device("meta"):
        for name, layer in captioner.model.named_modules():
            plain = name.removeprefix(PEFT_PREFIX)
            tower = next((tower for tower in towers if plain.startswith(captioner.towers[tower])), None)
            used = tower and not captioner.is_idle(f"{plain}.") and ".original_module." not in name
            if used and isinstance(layer, GradientCheckpointingLayer):
                has_gradient = bool(sizes) or tower != towers[0]
                hidden, further = captioner.layer_call(str(tower), layer, shape)
                sizes.append(_bytes_of(layer, hidden.requires_grad_(has_gradient), further))
    text = captioner.model.config.text_config.hidden_size * shape.tokens * shape.photos * 4
    inputs, layers = [size for size, _ in sizes], [size for _, size in sizes]
    return Activations(inputs, layers, text * (1 if towers == ("language",) else captioner.kept_between_towers))


def _bytes_of(layer: Any, hidden: torch.Tensor, further: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes of a layer's input, and of all that its backward pass needs beside its weights."""
    with saved_tensors() as saved:
        layer(hidden, **further)
    own = {weight.untyped_storage()._cdata for weight in layer.parameters()}
    needed = sum(size for address, size in saved.items() if address not in own)
    return hidden.untyped_storage().nbytes(), needed
