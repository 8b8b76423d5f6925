"""What autograd keeps of a forward pass, counted on layers without weights: nothing is loaded, nothing computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.modeling_layers import GradientCheckpointingLayer

from finetune.models.adapters import PEFT_PREFIX
from finetune.models.families.base import Captioner

FUSED = "lookbook-fused"


@dataclass(frozen=True)
class Shapes:
    """A batch: photos, patches of one photo (CLIP's class token among them), and tokens of the language model."""

    photos: int
    patches: int
    tokens: int


class _Fused(torch.autograd.Function):
    """Keeps what FlashAttention keeps (Dao et al. 2022, algorithm 2): its inputs, its output, a sum for each row."""

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
def counted() -> Iterator[dict[int, int]]:
    """Bytes of each storage that autograd keeps of what runs within, by its address."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        held.append(storage)
        return tensor

    held: list[Any] = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


@dataclass(frozen=True)
class Kept:
    """Bytes of each layer's input, of all that each layer's backward pass needs, and of what lies between layers."""

    inputs: list[int]
    layers: list[int]
    between: int

    def peak(self, *, checkpointed: bool) -> int:
        """Bytes at the end of the forward pass; of checkpointed layers the inputs, and one layer computed again."""
        return self.between + (sum(self.inputs) + max(self.layers) if checkpointed else sum(self.layers))


def kept_by(captioner: Captioner, towers: tuple[str, ...], shapes: Shapes) -> Kept:
    """What the backward pass through these towers needs beside weights and logits.

    Layers are counted as they are. Between them lie the language tower's last norm, in float32, and where photos have
    a gradient some three more of that size in which they join the text: within 15% of all, by `tests/test_memory.py`.
    """
    found: list[tuple[int, int]] = []
    with torch.device("meta"):
        for name, layer in captioner.model.named_modules():
            plain = name.removeprefix(PEFT_PREFIX)
            tower = next((tower for tower in towers if plain.startswith(captioner.towers[tower])), None)
            used = tower and not captioner.is_idle(f"{plain}.") and ".original_module." not in name
            if used and isinstance(layer, GradientCheckpointingLayer):
                first = not found and tower == towers[0]
                found.append(_bytes_of(layer, captioner, str(tower), shapes, first=first))
    text = captioner.model.config.text_config.hidden_size * shapes.tokens * shapes.photos * 4
    return Kept(
        [one for one, _ in found], [all_of for _, all_of in found], text * (1 if towers == ("language",) else 4)
    )


def _bytes_of(layer: Any, captioner: Captioner, tower: str, shapes: Shapes, *, first: bool) -> tuple[int, int]:
    config, language = captioner.model.config, captioner.model.config.text_config
    dtype = next(layer.parameters()).dtype
    tokens, width = {
        "vision": (shapes.patches, config.vision_config.hidden_size),
        "connector": (captioner.image_tokens, getattr(config, "qformer_config", language).hidden_size),
        "language": (shapes.tokens, language.hidden_size),
    }[tower]
    hidden = torch.empty(shapes.photos, tokens, width, dtype=dtype, requires_grad=not first)
    with counted() as kept:
        _run(layer, hidden, captioner, shapes)
    own = {weight.untyped_storage()._cdata for weight in layer.parameters()}
    needed = sum(size for address, size in kept.items() if address not in own)
    return hidden.untyped_storage().nbytes(), needed


def _run(layer: Any, hidden: torch.Tensor, captioner: Captioner, shapes: Shapes) -> None:
    kind = type(layer).__name__
    if kind == "LlamaDecoderLayer":
        angles = torch.empty(1, hidden.shape[1], layer.self_attn.head_dim, dtype=hidden.dtype)
        layer(hidden, position_embeddings=(angles, angles))
    elif kind == "Blip2QFormerLayer":
        seen = captioner.model.config.vision_config.hidden_size
        photos = torch.empty(shapes.photos, shapes.patches, seen, dtype=hidden.dtype)
        layer(hidden, encoder_hidden_states=photos, query_length=hidden.shape[1])
    elif kind == "CLIPEncoderLayer":
        layer(hidden, attention_mask=None)
    else:
        layer(hidden)
