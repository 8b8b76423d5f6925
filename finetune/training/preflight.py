"""Everything that can be checked before hours are spent."""

import importlib.util
import shutil
from pathlib import Path

import torch

from finetune.config.packaged import base_folder
from finetune.config.recipe import Lora, Model, Recipe, Training, Tune
from finetune.data import mixture
from finetune.data.preparation import Prepared
from finetune.models import adapters, quantization
from finetune.models.families import captioner_class
from finetune.models.loading import check_precision, is_sharded
from finetune.models.memory import estimate as memory
from finetune.models.tiny import check_tiny
from finetune.runs.folder import RunFolder
from finetune.training.arguments import training_arguments
from finetune.training.caption_evaluation import check_evaluation
from finetune.training.optimization import check_optimizer, check_rates
from finetune.training.trackers import check_tracker
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import check_folder

MINIMUM_FREE = 1 << 30
MOST_CHECKPOINTS = 3


def check_splits(prepared: Prepared) -> None:
    """Raise `UserError` if there is nothing to train or validate on."""
    for split in ("train", "validation"):
        if not len(prepared.splits[split]):
            raise UserError(f"split {split!r} has no captioned articles: nothing to train or validate on")


def check_recipe(recipe: Recipe, processes: int = 1) -> None:
    """Check tables, base model, what is tuned, batch, device, tracker and disk; takes seconds and reads no photo.

    Raises `UserError` naming the first key that does not fit.
    """
    mixture.check(recipe.catalogues)  # what needs no network first
    _check_precision(recipe.model, recipe.tune)
    quantization.check_installed(recipe.model)
    quantization.check_trainable(recipe.model, recipe.tune, recipe.lora)
    family = captioner_class(recipe.model.family)
    family.prompt_of(recipe.prompt)
    if recipe.model.tiny is None:
        family.check(recipe.model)
    else:
        check_tiny(recipe.model.family, recipe.model.tiny, Path(base_folder(recipe.model.base)))
    if recipe.model.quantization:
        captioner = memory.without_weights(recipe.model, recipe.tune, recipe.lora)
        quantization.check_layers(captioner.model, captioner.lora_target("language", "all-linear"), recipe.model)
    training_arguments(recipe.training, RunFolder(recipe.output).checkpoints, processes, recipe.evaluation)
    check_evaluation(recipe.evaluation)
    _check_attention(recipe.model)
    check_optimizer(recipe.training)
    check_rates(recipe.training.learning_rates, recipe.tune)
    check_tracker(recipe.training.tracker)
    _check_sharding(recipe.model, recipe.training)
    needed = needed_bytes(recipe.model, recipe.tune, recipe.lora, recipe.training)
    check_disk(recipe.output, needed, "choose another output=...")
    check_disk(cache_folder(), MINIMUM_FREE, "choose another cache by the variable LOOKBOOK_CACHE")


def needed_bytes(model: Model, tune: Tune, lora: Lora, training: Training) -> int:
    """Bytes for the model and the most checkpoints at a time: the best, the newest and the one being written.

    Each holds what is saved of the weights (the adapters; all if no tower has LoRA) and the optimizer's moments.
    """
    parts = memory.kept_bytes(model, tune, lora, training.optimizer)
    adapted, _ = adapters.tuned_towers(tune)
    saved = parts["gradients"] if adapted else parts["weights"]
    return MINIMUM_FREE + round(MOST_CHECKPOINTS * (saved + parts["optimizer"]) + saved)


def _check_precision(model: Model, tune: Tune) -> None:
    check_precision(model)
    _, full = adapters.tuned_towers(tune)
    if full and model.dtype == "bfloat16":
        raise UserError(
            f"tune.{full[0]}: full: bfloat16 weights round small updates away; set model.dtype: float32, "
            f"or tune.{full[0]}: lora, whose adapters are float32"
        )


def _check_sharding(model: Model, training: Training) -> None:
    """What FSDP and ZeRO-3, which split weights over devices, cannot do."""
    if is_sharded() and model.quantization:
        raise UserError(
            f"model.quantization: {model.quantization}: quantised weights cannot be split over devices; "
            "use recipes/accelerate/ddp.yaml"
        )
    if is_sharded(by="ZeRO-3") and training.gradient_checkpointing:
        raise UserError(
            "training.gradient_checkpointing: cannot be used with ZeRO-3; use recipes/accelerate/fsdp2.yaml"
        )


def _check_attention(model: Model) -> None:
    if model.attention != "flash_attention_2":
        return
    if importlib.util.find_spec("flash_attn") is None or not torch.cuda.is_available():
        raise UserError("model.attention: flash_attention_2 needs a CUDA device and the package flash-attn; use sdpa")


def check_disk(folder: Path, needed: int, remedy: str) -> None:
    """Raise `UserError` if `needed` bytes cannot be written to `folder`, which need not exist.

    `remedy` ends the message.
    """
    existing = check_folder(folder, remedy)
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"{existing}: {free / 1e9:.1f} GB free on its disk, at least {needed / 1e9:.1f} GB needed; "
            f"free some, or {remedy}"
        )
