"""How much memory training takes, estimated from recipe and configuration alone: no weight is loaded."""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils import logging

from finetune.config.packaged import base_folder
from finetune.config.recipe import Augmentation, Lora, Model, Recipe, Training, Tune
from finetune.models import adapters
from finetune.models.families import captioner_class
from finetune.models.families.base import IMAGE_TOKEN, BatchShape, Captioner
from finetune.models.gradient_checkpointing import in_backward
from finetune.models.memory.activations import FUSED, activations_of
from metrics.common.screen import is_quiet, say
from metrics.common.tables import WideTable, print_tables
from metrics.encoders.pretrained import loading
from metrics.encoders.safe_loading import load_part

GIB = 1 << 30
LIBRARIES = 1 << 30
MOMENTS = {"adamw": 8.0, "paged-adamw-8bit": 2 * (1 + 4 / 256)}
# Bytes a weight: 4 bits, an 8-bit constant for 64 of them and a 32-bit one for 256 of those (Dettmers et al. 2023)
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
CHARACTERS_OF_A_TOKEN = 3
STORED_NUMBER = 2  # bytes of a number of stored features, which are float16


@dataclass(frozen=True)
class Estimate:
    """Parameters of each tower, bytes by what they are for, the rows that they were counted for, what takes less.

    `stored`: bytes on disk of a photo's features, of a model that trains on these; else 0.
    """

    parameters: adapters.ParameterCounts
    parts: dict[str, float]
    rows: str
    remedies: tuple[str, ...]
    stored: int

    @property
    def total(self) -> float:
        """Bytes in all."""
        return sum(self.parts.values())


def estimate(recipe: Recipe) -> Estimate:
    """Bytes on one device that holds the whole model, for rows with captions of `decoding.max_new_tokens` tokens.

    Weights as they are stored; gradients and moments (AdamW: two in float32; 8-bit: two bytes and their block's
    constant, Dettmers et al. 2022) of what is trained; activations as autograd saves them, layer by layer; logits of
    labelled tokens as they come, in float32, and as log-probabilities. Not in it: sharding (FSDP,
    ZeRO), and what captioning needs. Raises `UserError` if no tower is trained.
    """
    model, training, tokens = recipe.model, recipe.training, recipe.decoding.max_new_tokens
    captioner = without_weights(model, recipe.tune, recipe.lora)
    shape = _shape(captioner, recipe)
    labelled = tokens + 1 if recipe.labels.on == "caption" else shape.tokens
    activations = activations_of(captioner, in_backward(recipe.tune), shape)
    parts = _kept_bytes(captioner, model.quantization, training.optimizer) | {
        "activations": float(activations.peak(checkpointed=training.gradient_checkpointing)),
        "logits": float(_logits(captioner, shape.photos * labelled, model.dtype)),
        "libraries": float(LIBRARIES),
    }
    rows = f"{shape.photos} photos of {shape.patches} patches, {shape.tokens} tokens each"
    remedies = _remedies(model, recipe.tune, training)
    stored = 0 if recipe.augmentation != Augmentation() else _stored(captioner)
    return Estimate(adapters.count_parameters(captioner), parts, rows, remedies, stored)


def _stored(captioner: Captioner) -> int:
    if captioner.stored_features is None:
        return 0
    side = captioner.model.config.vision_config.image_size
    photo = torch.empty(1, 3, side, side, device="meta")
    with torch.no_grad():
        return captioner.photo_features(captioner.stored_features, photo).numel() * STORED_NUMBER


def kept_bytes(model: Model, tune: Tune, lora: Lora, optimizer: str) -> dict[str, float]:
    """Bytes of what stays in memory between steps: weights, gradients and the optimizer's moments, as in `estimate`."""
    return _kept_bytes(without_weights(model, tune, lora), model.quantization, optimizer)


def _kept_bytes(captioner: Captioner, quantization: str | None, optimizer: str) -> dict[str, float]:
    trained = [weight for weight in captioner.model.parameters() if weight.requires_grad]
    return {
        "weights": _weights(captioner, quantization),
        "gradients": float(sum(weight.numel() * weight.element_size() for weight in trained)),
        "optimizer": sum(weight.numel() for weight in trained) * MOMENTS[optimizer],
    }


def without_weights(model: Model, tune: Tune, lora: Lora) -> Captioner:
    """A recipe's model with its adapters, on torch's `meta` device."""
    family = captioner_class(model.family)
    attention = "eager" if model.attention == "eager" else FUSED
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)
        base = base_folder(model.base)
        if model.tiny is None or (Path(base) / "config.json").is_file():
            with loading(model.base, "a model of photos and text", "a folder or Hub id with config.json"):
                config = load_part(AutoConfig, base, model.revision)
                dtype = getattr(torch, model.dtype)
                bare = AutoModelForImageTextToText.from_config(config, trust_remote_code=False, dtype=dtype)
        else:
            bare, _ = family.tiny(model.tiny, ["a dress"])
        bare.set_attn_implementation(attention)
        family.set_types(bare)
        captioner = family(bare, None)
        adapters.attach(captioner, tune, lora)
    logging.set_verbosity(level)
    captioner.model.train()
    return captioner


def _shape(captioner: Captioner, recipe: Recipe) -> BatchShape:
    text = captioner.prompt_of(recipe.prompt).replace(IMAGE_TOKEN, "")
    prompt = captioner.most_image_tokens + -(-len(text) // CHARACTERS_OF_A_TOKEN)
    tokens = max(recipe.labels.pad_to or 0, prompt + 1 + recipe.decoding.max_new_tokens)
    return BatchShape(recipe.training.micro_batch_size, captioner.most_patches, min(tokens, captioner.context))


def _weights(captioner: Captioner, quantization: str | None) -> float:
    linear = _linear_layers(captioner) if quantization else set()
    stored = {"nf4": NF4, "int8": 1.0}.get(quantization or "", 0.0)
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


def _logits(captioner: Captioner, tokens: int, dtype: str) -> int:
    """As the model gives them, then in float32, and the cross-entropy's logarithms of probabilities in float32."""
    size = torch.finfo(getattr(torch, dtype)).bits // 8
    return int(tokens * captioner.model.config.text_config.vocab_size * (size + 4 + 4))


def _remedies(model: Model, tune: Tune, training: Training) -> tuple[str, ...]:
    """Overrides of a recipe that would take less memory."""
    useful = {
        "training.micro_batch_size=1": training.micro_batch_size > 1,
        "training.gradient_checkpointing=true": not training.gradient_checkpointing,
        "model.quantization=nf4": model.quantization is None and tune.language != "full",
    }
    return tuple(name for name, helps in useful.items() if helps)


def device_memory() -> tuple[str, int]:
    """Name and bytes of the accelerator, else of this machine's memory."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1]
    return "this machine's memory", int(psutil.virtual_memory().total)


def show(estimated: Estimate) -> None:
    """Say how much it is, and print a warning if the device is smaller."""
    table = WideTable(["tower"], ["parameters", "trained"])
    for tower, counts in estimated.parameters.items():
        table.add_row(tower, f"{counts['total']:,}", f"{counts['trainable']:,}")
    if not is_quiet():
        print_tables(table)
    parts = ", ".join(f"{name} {size / GIB:.2f}" for name, size in estimated.parts.items())
    say(f"memory, estimated: {estimated.total / GIB:.2f} GiB on each device ({parts}); {estimated.rows}")
    name, size = device_memory()
    if estimated.total > size:
        useful = ", ".join(estimated.remedies)
        remedy = f"what takes less: {useful}" if useful else "a smaller model or a larger device is needed"
        print(f"WARNING: {name} has {size / GIB:.1f} GiB, less than that; {remedy}", file=sys.stderr)
