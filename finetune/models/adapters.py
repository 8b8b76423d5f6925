"""What is trained of a model: LoRA adapters by PEFT, fully tuned towers, everything else frozen."""

import re
from collections.abc import Iterable

from peft import LoraConfig, get_peft_model

from finetune.config.recipe import Lora, Tune
from finetune.models.families.base import TOWERS, Captioner
from finetune.models.quantization import numel
from metrics.common.errors import UserError

PEFT_PREFIX = "base_model.model."
ParameterCounts = dict[str, dict[str, int]]


def attach(captioner: Captioner, tune: Tune, lora: Lora, revision: str | None = None) -> None:
    """Freeze the captioner's model, then make trainable what `tune` sets for each tower.

    `revision`: the base's on the Hub, which the adapter's configuration names, so that PEFT loads that one.

    If one tower has LoRA, fully tuned towers become PEFT's `modules_to_save`, so that one PEFT adapter carries all;
    an adapter holds modules only, so the query tokens of a fully tuned connector then stay as they are.
    Raises `UserError` if nothing would be trained.
    """
    adapted, full = tuned_towers(tune)
    captioner.model.requires_grad_(False)
    if adapted:
        wanted = _lora_config(captioner, adapted, full, lora)
        captioner.model = get_peft_model(captioner.model, wanted, revision=revision)
    else:
        for name, parameter in captioner.model.named_parameters():
            parameter.requires_grad = captioner.tower_of(name) in full
    for name, parameter in captioner.model.named_parameters():
        if captioner.is_idle(name.removeprefix(PEFT_PREFIX)):
            parameter.requires_grad = False
    _check_towers(captioner, {*adapted, *full})


def _check_towers(captioner: Captioner, wanted: set[str]) -> None:
    """Raise `UserError` if another tower than those of the recipe is trained: a pattern too wide may reach one."""
    trained = {tower for tower, counts in count_parameters(captioner).items() if counts["trainable"]}
    if trained != wanted:
        raise UserError(f"tune: {', '.join(sorted(wanted))} should be trained, but the adapters are in {trained}")


def tuned_towers(tune: Tune) -> tuple[list[str], list[str]]:
    """The towers with LoRA, and those tuned in full. Raises `UserError` if there is neither."""
    adapted = [tower for tower in TOWERS if getattr(tune, tower) == "lora"]
    full = [tower for tower in TOWERS if getattr(tune, tower) == "full"]
    if not adapted and not full:
        raise UserError("tune: all towers are frozen; set one of vision, connector, language to lora or full")
    return adapted, full


def _lora_config(captioner: Captioner, adapted: list[str], full: list[str], lora: Lora) -> LoraConfig:
    if not isinstance(lora.modules, str):
        _check_modules(captioner, adapted, lora.modules)
    patterns = [captioner.lora_target(tower, lora.modules) for tower in adapted]
    modules = {prefix.rstrip(".") for tower in full for prefix in captioner.towers[tower] if prefix.endswith(".")}
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        target_modules="|".join(f"({pattern})" for pattern in patterns),
        modules_to_save=sorted(modules) or None,
    )


def _check_modules(captioner: Captioner, adapted: list[str], modules: tuple[str, ...]) -> None:
    """Raise `UserError` for a name that no tower with LoRA has, and for such a tower that has none of the names."""
    unknown = [name for name in modules if not any(_layers(captioner, tower, (name,)) for tower in adapted)]
    without = [tower for tower in adapted if not _layers(captioner, tower, modules)]
    if unknown or without:
        known = {tower: _last_parts(_layers(captioner, tower, "all-linear")) for tower in adapted}
        error = f"no layer is called {', '.join(unknown)}" if unknown else f"no layer of {', '.join(without)} is named"
        layers = "; ".join(f"{tower} has {', '.join(names)}" for tower, names in known.items())
        raise UserError(f"lora.modules: {error}; {layers}")


def _layers(captioner: Captioner, tower: str, modules: str | tuple[str, ...]) -> list[str]:
    pattern = re.compile(captioner.lora_target(tower, modules))
    return [name for name, _ in captioner.model.named_modules() if pattern.fullmatch(name)]


def _last_parts(names: Iterable[str]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in names})


def count_parameters(captioner: Captioner) -> ParameterCounts:
    """Parameters of each tower: `total` (base and adapter, a tuned copy instead of its original) and `trainable`.

    Quantised weights are counted one by one, not by what they are packed into.
    """
    counts = {tower: {"total": 0, "trainable": 0} for tower in TOWERS}
    for name, parameter in captioner.model.named_parameters():
        if ".original_module." in name:
            continue
        tower = counts[captioner.tower_of(name.removeprefix(PEFT_PREFIX))]
        tower["total"] += numel(parameter)
        tower["trainable"] += numel(parameter) * parameter.requires_grad
    return counts
