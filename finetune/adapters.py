"""What is trained of a model: LoRA adapters by PEFT, fully tuned towers, everything else frozen."""

from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open

from finetune.config import Lora, Tune
from finetune.families.base import TOWERS, Captioner
from metrics.errors import UserError

PEFT_PREFIX = "base_model.model."
ParameterCounts = dict[str, dict[str, int]]


def attach(captioner: Captioner, tune: Tune, lora: Lora) -> None:
    """Freeze the captioner's model, then make trainable what `tune` says of each tower.

    Where one tower has LoRA, fully tuned towers become PEFT's `modules_to_save`, so that one PEFT adapter carries all;
    an adapter holds modules only, so the query tokens of a fully tuned connector then stay as they are.
    Raises `UserError` where nothing would be trained.
    """
    adapted, full = tuned_towers(tune)
    captioner.model.requires_grad_(False)
    if adapted:
        captioner.model = get_peft_model(captioner.model, _lora_config(captioner, adapted, full, lora))
    else:
        for name, parameter in captioner.model.named_parameters():
            parameter.requires_grad = captioner.tower_of(name) in full
    for name, parameter in captioner.model.named_parameters():
        if captioner.is_idle(name.removeprefix(PEFT_PREFIX)):
            parameter.requires_grad = False
    _check_towers(captioner, {*adapted, *full})


def _check_towers(captioner: Captioner, wanted: set[str]) -> None:
    """What is trained must lie in the towers that the recipe names: a pattern too wide reaches another tower unseen."""
    trained = {tower for tower, counts in count_parameters(captioner).items() if counts["trainable"]}
    if trained != wanted:
        raise UserError(f"tune: {', '.join(sorted(wanted))} should be trained, but the adapters are in {trained}")


def tuned_towers(tune: Tune) -> tuple[list[str], list[str]]:
    """The towers with LoRA, and those tuned in full. Raises `UserError` where there is neither."""
    adapted = [tower for tower in TOWERS if getattr(tune, tower) == "lora"]
    full = [tower for tower in TOWERS if getattr(tune, tower) == "full"]
    if not adapted and not full:
        raise UserError("tune: all towers are frozen; set one of vision, connector, language to lora or full")
    return adapted, full


def _lora_config(captioner: Captioner, adapted: list[str], full: list[str], lora: Lora) -> LoraConfig:
    patterns = [captioner.lora_target(tower, lora.modules) for tower in adapted]
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
        _refuse_other_layers(captioner.model, folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"adapter {folder}: does not load on this base model: {reason}") from error


def _refuse_other_layers(model: PeftModel, folder: str) -> None:
    """PEFT passes over layers that only one side has; the caption would come from half an adapter."""
    path = Path(folder) / "adapter_model.safetensors"
    if path.is_file():
        with safe_open(path, "pt") as file:
            stored = set(file.keys())
        differing = stored ^ set(get_peft_model_state_dict(model, save_embedding_layers=False))
        if differing:
            raise ValueError(f"{len(differing)} tensors stand on one side only, for example {min(differing)}")


def count_parameters(captioner: Captioner) -> ParameterCounts:
    """Parameters of each tower: `total` (base and adapter, a tuned copy in its original's place) and `trainable`."""
    counts = {tower: {"total": 0, "trainable": 0} for tower in TOWERS}
    for name, parameter in captioner.model.named_parameters():
        if ".original_module." in name:
            continue
        tower = counts[captioner.tower_of(name.removeprefix(PEFT_PREFIX))]
        tower["total"] += parameter.numel()
        tower["trainable"] += parameter.numel() * parameter.requires_grad
    return counts


def describe(counts: ParameterCounts) -> str:
    """A line per tower."""
    lines = [f"  {tower:<10}{n['total']:>15,} parameters{n['trainable']:>15,} trained" for tower, n in counts.items()]
    return "\n".join(lines)
