"""Frozen weights in 4 bits (NF4, Dettmers et al. 2023) or 8 (LLM.int8, Dettmers et al. 2022), by bitsandbytes.

Only layers of the language tower are quantised. Nothing is cast to float32 for training: adapters are float32 already,
and PEFT's `prepare_model_for_kbit_training` would blow up the towers that are not quantised.
"""

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from finetune.config import Model, Tune
from metrics.errors import UserError

QUANTIZED = ("Params4bit", "Int8Params")


def check_installed(model: Model) -> None:
    """Raise `UserError` where weights are to be quantised without bitsandbytes."""
    if model.quantization and importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            f"model.quantization: {model.quantization}: bitsandbytes is not installed; "
            "pip install '.[gpu]' in Lookbook's folder"
        )


def check_trainable(model: Model, tune: Tune) -> None:
    """Raise `UserError` where quantised weights would have to be trained, or no adapter would be."""
    if model.quantization is None:
        return
    if tune.language == "full":
        raise UserError(
            f"model.quantization: {model.quantization}: quantised weights cannot be trained; set tune.language: lora, "
            "or leave model.quantization out"
        )
    if "lora" not in (tune.vision, tune.connector, tune.language):
        raise UserError(
            f"model.quantization: {model.quantization}: only adapters are trained on a quantised model; set one of "
            "tune.vision, tune.connector, tune.language to lora, or leave model.quantization out"
        )


def loading_options(config: Model, kept: Sequence[str], device: str) -> dict[str, Any]:
    """What `from_pretrained` is told; `kept` are the modules that are not quantised. Weights go to `device` at once."""
    if config.quantization is None:
        return {}
    nf4 = config.quantization == "nf4"
    quantization = BitsAndBytesConfig(
        load_in_4bit=nf4,
        load_in_8bit=not nf4,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, config.dtype),
        llm_int8_skip_modules=list(kept),
    )
    return {"quantization_config": quantization, "device_map": {"": device}}


def settle(model: torch.nn.Module, config: Model) -> None:
    """Make a model just loaded the same on every CPU. Raises `UserError` where nothing could be quantised.

    On CPUs with AVX512-BF16 bitsandbytes repacks 4-bit weights at the first look at a photo, for speed: it cannot
    where a side is no multiple of its blocks, and packed back for training they are no longer the same.
    """
    layers = [module for module in model.modules() if type(getattr(module, "weight", None)).__name__ in QUANTIZED]
    if not layers:
        raise UserError(f"{config.base}: model.quantization: {config.quantization}: no linear layer can be quantised")
    for layer in layers:
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def is_quantized(parameter: torch.nn.Parameter) -> bool:
    """Whether bitsandbytes holds this weight in 4 or 8 bits."""
    return type(parameter).__name__ in QUANTIZED


def numel(parameter: torch.nn.Parameter) -> int:
    """How many weights a parameter holds; 4-bit ones lie two in a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else parameter.numel()
