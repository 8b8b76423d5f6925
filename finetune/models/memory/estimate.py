"""How much memory training takes, estimated from recipe and configuration alone: no weight is loaded."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils import logging

from finetune.config.recipe import Recipe
from finetune.models import adapters
from finetune.models.families import captioner_class
from finetune.models.families.base import IMAGE_TOKEN, Captioner
from finetune.models.gradient_checkpointing import in_backward
from finetune.models.memory.activations import FUSED, Shapes, kept_by
from metrics.common.tables import WideTable, print_tables

GIB = 1 << 30
LIBRARIES = 1 << 30
MOMENTS = {"adamw": 8.0, "paged-adamw-8bit": 2 * (1 + 4 / 256)}
# Bytes a weight: 4 bits, an 8-bit constant for 64 of them and a 32-bit one for 256 of those (Dettmers et al. 2023)
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
CHARACTERS_OF_A_TOKEN = 3


@dataclass(frozen=True)
class Estimate:
    """Parameters of each tower, bytes by what they are for, and the rows that they were counted for."""

    parameters: adapters.ParameterCounts
    parts: dict[str, float]
    rows: str

    @property
    def total(self) -> float:
        """Bytes in all."""
        return sum(self.parts.values())


def estimate(recipe: Recipe) -> Estimate:
    """Bytes on one device that holds the whole model, for rows with captions of `decoding.max_new_tokens` tokens.

    Weights as they are stored; gradients and moments (AdamW: two in float32; 8-bit: two bytes and their block's
    constant, Dettmers et al. 2022) of what is trained; activations as autograd keeps them, layer by layer; logits of
    labelled tokens as they come, in float32, and as log-probabilities. Not in it: sharding (FSDP,
    ZeRO), and what captioning keeps. Raises `UserError` where no tower is trained.
    """
    captioner = without_weights(recipe)
    shapes = _shapes(captioner, recipe)
    trained = [weight for weight in captioner.model.parameters() if weight.requires_grad]
    count = sum(weight.numel() for weight in trained)
    parts = {
        "weights": _weights(captioner, recipe),
        "gradients": float(sum(weight.numel() * weight.element_size() for weight in trained)),
        "optimizer": count * MOMENTS[recipe.training.optimizer],
        "activations": float(_activations(captioner, recipe, shapes)),
        "logits": float(_logits(captioner, recipe, shapes)),
        "libraries": float(LIBRARIES),
    }
    rows = f"{shapes.photos} photos of {shapes.patches} patches, {shapes.tokens} tokens each"
    return Estimate(adapters.count_parameters(captioner), parts, rows)


def without_weights(recipe: Recipe) -> Captioner:
    """The recipe's model with its adapters, on torch's `meta` device."""
    family, model = captioner_class(recipe.model.family), recipe.model
    attention = "eager" if model.attention == "eager" else FUSED
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)
        if model.tiny is None or (Path(model.base) / "config.json").is_file():
            config = AutoConfig.from_pretrained(model.base, revision=model.revision)
            bare = AutoModelForImageTextToText.from_config(config, dtype=getattr(torch, model.dtype))
        else:
            bare, _ = family.tiny(model.tiny, ["a dress"])
        bare.set_attn_implementation(attention)
        family.set_types(bare)
        captioner = family(bare, None)
        adapters.attach(captioner, recipe.tune, recipe.lora)
    logging.set_verbosity(level)
    captioner.model.train()
    return captioner


def _shapes(captioner: Captioner, recipe: Recipe) -> Shapes:
    vision = captioner.model.config.vision_config
    text = captioner.prompt_of(recipe.prompt).replace(IMAGE_TOKEN, "")
    tokens = captioner.image_tokens + -(-len(text) // CHARACTERS_OF_A_TOKEN) + 1 + recipe.decoding.max_new_tokens
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    wanted = max(recipe.labels.pad_to or 0, tokens)
    return Shapes(recipe.training.micro_batch_size, patches, min(wanted, captioner.context))


def _weights(captioner: Captioner, recipe: Recipe) -> float:
    linear = _linear_layers(captioner) if recipe.model.quantization else set()
    stored = {"nf4": NF4, "int8": 1.0}.get(recipe.model.quantization or "", 0.0)
    return sum(
        (
            weight.numel() * (stored if name in linear else float(weight.element_size()))
            for name, weight in captioner.model.named_parameters()
        ),
        0.0,
    )


def _linear_layers(captioner: Captioner) -> set[str]:
    """Names of the weights that are quantised: linear layers of the language tower, its head and adapters not."""
    return {
        f"{name}.weight"
        for name, module in captioner.model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and name.removeprefix(adapters.PEFT_PREFIX).startswith(captioner.towers["language"])
        and ".layers." in name
        and ".lora_" not in name
    }


def _activations(captioner: Captioner, recipe: Recipe, shapes: Shapes) -> int:
    kept = kept_by(captioner, in_backward(recipe.tune), shapes)
    return kept.peak(checkpointed=recipe.training.gradient_checkpointing)


def _logits(captioner: Captioner, recipe: Recipe, shapes: Shapes) -> int:
    """As the model gives them, then in float32, and the cross-entropy's logarithms of probabilities in float32."""
    labelled = recipe.decoding.max_new_tokens + 1 if recipe.labels.on == "caption" else shapes.tokens
    size = torch.finfo(getattr(torch, recipe.model.dtype)).bits // 8
    return int(shapes.photos * labelled * captioner.model.config.text_config.vocab_size * (size + 4 + 4))


def device_memory() -> tuple[str, int]:
    """Name and bytes of the accelerator there is, else of this machine's memory."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1]
    return "this machine's memory", int(psutil.virtual_memory().total)


def show(found: Estimate, recipe: Recipe) -> None:
    """Print the table, and a warning where the device is smaller."""
    table = WideTable(["tower"], ["parameters", "trained"])
    for tower, counts in found.parameters.items():
        table.add_row(tower, f"{counts['total']:,}", f"{counts['trainable']:,}")
    print_tables(table)
    parts = ", ".join(f"{name} {size / GIB:.2f}" for name, size in found.parts.items())
    print(f"memory, estimated: {found.total / GIB:.2f} GiB on each device ({parts}); {found.rows}")
    name, size = device_memory()
    if found.total > size:
        print(f"WARNING: {name} has {size / GIB:.1f} GiB, less than that; {_remedies(recipe)}")


def _remedies(recipe: Recipe) -> str:
    wanted: Mapping[str, Any] = {
        "training.micro_batch_size=1": recipe.training.micro_batch_size > 1,
        "training.gradient_checkpointing=true": not recipe.training.gradient_checkpointing,
        "model.quantization=nf4": recipe.model.quantization is None and recipe.tune.language != "full",
    }
    useful = [name for name, helps in wanted.items() if helps]
    return f"what takes less: {', '.join(useful)}" if useful else "a smaller model or a larger device is needed"
