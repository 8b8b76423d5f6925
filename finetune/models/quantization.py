"""Frozen weights in 4 bits (NF4, Dettmers et al. 2023) or 8 (LLM.int8, Dettmers et al. 2022), by bitsandbytes.

Only layers of the language tower are quantised. Nothing is cast to float32 for training: adapters are float32 already,
and PEFT's `prepare_model_for_kbit_training` would blow up the towers that are not quantised.
"""

import importlib.util
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from finetune.config.recipe import Lora, Model, Tune
from metrics.common.errors import UserError

BLOCK = 64  # weights that share a scale


def check_installed(model: Model) -> None:
    """Raise `UserError` if weights are to be quantised without bitsandbytes."""
    if model.quantization and importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            f"model.quantization: {model.quantization}: bitsandbytes is not installed; "
            "pip install '.[gpu]' in Lookbook's folder"
        )


def check_trainable(model: Model, tune: Tune, lora: Lora) -> None:
    """Raise `UserError` if quantised weights would be trained, no adapter would be, or DoRA breaks them."""
    if model.quantization is None:
        return
    if tune.language == "full":
        raise UserError(
            f"model.quantization: {model.quantization}: quantised weights cannot be trained; set tune.language: lora, "
            "or leave model.quantization out"
        )
    if lora.dora and model.quantization == "int8":
        raise UserError("lora.dora: PEFT loses the scales of weights in 8 bits; set model.quantization: nf4")
    if "lora" not in (tune.vision, tune.connector, tune.language):
        raise UserError(
            f"model.quantization: {model.quantization}: only adapters are trained on a quantised model; set one of "
            "tune.vision, tune.connector, tune.language to lora, or leave model.quantization out"
        )


def check_layers(network: torch.nn.Module, pattern: str, model: Model) -> None:
    """Raise `UserError` if a layer whose name matches `pattern` cannot be in 4 bits.

    The network may have adapters, and no weights.
    """
    if model.quantization != "nf4":
        return
    layers = re.compile(rf"(.*\.)?({pattern})")
    _refuse_widths(model, [module for name, module in network.named_modules() if layers.fullmatch(name)])


def _refuse_widths(model: Model, layers: Iterable[Any]) -> None:
    """If a row is not a whole number of blocks, bitsandbytes 0.50 misreads weights on a CPU, without an error."""
    width = next((layer.in_features for layer in layers if layer.in_features % BLOCK), None)
    if width:
        raise UserError(
            f"model.quantization: nf4: {model.base} has linear layers {width} wide, which is no multiple of {BLOCK}; "
            "set model.quantization: int8"
        )


def loading_options(config: Model, unquantized: Sequence[str], device: str) -> dict[str, Any]:
    """Arguments of `from_pretrained`; `unquantized` modules are not quantised. Weights go to `device` at once."""
    if config.quantization is None:
        return {}
    nf4 = config.quantization == "nf4"
    quantization = BitsAndBytesConfig(
        load_in_4bit=nf4,
        load_in_8bit=not nf4,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, config.dtype),
        llm_int8_skip_modules=list(unquantized),
    )
    return {"quantization_config": quantization, "device_map": {"": device}}


def disable_repacking(model: torch.nn.Module, config: Model) -> None:
    """Make a model just loaded the same on every CPU. Raises `UserError` if a layer cannot be in 4 bits.

    On those with AVX512-BF16 bitsandbytes repacks 4-bit weights for captioning; back in training they are others.
    """
    layers: list[Any] = [layer for layer in model.modules() if hasattr(layer, "support_avx512bf16_for_cpu")]
    _refuse_widths(config, layers)
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False


def numel(parameter: torch.nn.Parameter) -> int:
    """How many weights a parameter holds; 4-bit ones are packed two in a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else parameter.numel()
