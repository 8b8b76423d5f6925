"""What is trained of a model: LoRA adapters by PEFT, fully tuned towers, everything else frozen."""

import re
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from finetune.config import Lora, Tune
from finetune.families.base import TOWERS, Captioner
from metrics.errors import UserError

ParameterCounts = dict[str, dict[str, int]]


def attach(captioner: Captioner, tune: Tune, lora: Lora) -> None:
    """Freeze the captioner's model, then make trainable what `tune` says of each tower.

    Where one tower has LoRA, fully tuned towers become PEFT's `modules_to_save`, so that one PEFT adapter carries all.
    Raises `UserError` where nothing would be trained.
    """
    adapted, full = tuned_towers(tune)
    captioner.model.requires_grad_(False)
    if adapted:
        captioner.model = get_peft_model(captioner.model, _lora_config(captioner, adapted, full, lora))
    else:
        for name, parameter in captioner.model.named_parameters():
            parameter.requires_grad = captioner.tower_of(name) in full


def tuned_towers(tune: Tune) -> tuple[list[str], list[str]]:
    """The towers with LoRA, and those tuned in full. Raises `UserError` where there is neither."""
    adapted = [tower for tower in TOWERS if getattr(tune, tower) == "lora"]
    full = [tower for tower in TOWERS if getattr(tune, tower) == "full"]
    if not adapted and not full:
        raise UserError("tune: all towers are frozen; set one of vision, connector, language to lora or full")
    return adapted, full


def _lora_config(captioner: Captioner, adapted: list[str], full: list[str], lora: Lora) -> LoraConfig:
    patterns = [captioner.lora_targets[tower][lora.modules] for tower in adapted]
    modules = {prefix.rstrip(".") for tower in full for prefix in captioner.towers[tower] if prefix.endswith(".")}
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules="|".join(f"({pattern})" for pattern in patterns),
        modules_to_save=sorted(modules) or None,
    )


def load_adapter(captioner: Captioner, folder: str) -> None:
    """Put a trained adapter on the captioner's base model."""
    if Path(folder).is_dir() and not (Path(folder) / "adapter_model.safetensors").is_file():
        raise UserError(f"adapter {folder}: does not load: no adapter_model.safetensors there")
    try:
        captioner.model = PeftModel.from_pretrained(captioner.model, folder).eval()
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"adapter {folder}: does not load on this base model: {reason}") from error


def count_parameters(captioner: Captioner) -> ParameterCounts:
    """Parameters of each tower: `total` (base and adapter) and `trainable`."""
    counts = {tower: {"total": 0, "trainable": 0} for tower in TOWERS}
    for name, parameter in captioner.model.named_parameters():
        tower = counts[captioner.tower_of(_bare_name(name))]
        tower["total"] += parameter.numel()
        tower["trainable"] += parameter.numel() * parameter.requires_grad
    return counts


def describe(counts: ParameterCounts) -> str:
    """A line per tower."""
    lines = [f"  {tower:<10}{n['total']:>15,} parameters{n['trainable']:>15,} trained" for tower, n in counts.items()]
    return "\n".join(lines)


def _bare_name(name: str) -> str:
    return re.sub(r"^(base_model\.model\.)", "", name)


def is_adapter(model: Any) -> bool:
    """Whether the model is a PEFT adapter on a base, rather than a full model."""
    return isinstance(model, PeftModel)
