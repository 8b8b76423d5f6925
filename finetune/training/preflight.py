"""Everything that can be checked before hours are spent."""

import importlib.util
import os
import shutil
from pathlib import Path

import torch

from finetune.config.packaged import base_folder
from finetune.config.recipe import Recipe
from finetune.data import mixture
from finetune.data.preparation import Prepared
from finetune.models import adapters, quantization
from finetune.models.families import captioner_class
from finetune.models.loading import check_precision, is_sharded
from finetune.models.memory import estimate as memory
from finetune.models.tiny import check_tiny
from finetune.training.arguments import training_arguments
from finetune.training.caption_evaluation import check_evaluation
from metrics.common.cache import cache_folder
from metrics.common.errors import UserError

MINIMUM_FREE = 1 << 30
MOST_CHECKPOINTS = 3


def check_splits(prepared: Prepared) -> None:
    """Raise `UserError` where there is nothing to train or validate on."""
    for split in ("train", "validation"):
        if not len(prepared.splits[split]):
            raise UserError(f"split {split!r} has no captioned articles: nothing to train or validate on")


def check_recipe(recipe: Recipe, processes: int = 1) -> None:
    """Check base model, what is tuned, batch, device, tracker and disk; takes seconds and reads no photo.

    Raises `UserError` naming the first key that does not fit.
    """
    _check_precision(recipe)
    quantization.check_installed(recipe.model)
    quantization.check_trainable(recipe.model, recipe.tune, recipe.lora)
    mixture.check(recipe.catalogues)
    family = captioner_class(recipe.model.family)
    family.prompt_of(recipe.prompt)
    if recipe.model.tiny is None:
        family.check(recipe.model)
    else:
        check_tiny(recipe.model.family, recipe.model.tiny, Path(base_folder(recipe.model.base)))
    if recipe.model.quantization:
        captioner = memory.without_weights(recipe.model, recipe.tune, recipe.lora)
        quantization.check_layers(captioner.model, captioner.lora_target("language", "all-linear"), recipe.model)
    training_arguments(recipe.training, recipe.output, processes, recipe.evaluation)
    check_evaluation(recipe.evaluation)
    _check_attention(recipe)
    _check_optimizer(recipe)
    _check_rates(recipe)
    _check_tracker(recipe)
    _check_sharding(recipe)
    check_disk(recipe.output, needed_bytes(recipe))
    check_disk(cache_folder(), MINIMUM_FREE)


def needed_bytes(recipe: Recipe) -> int:
    """Disk for the model and the most checkpoints there are at a time: the best, the newest and the one being written.

    Each holds what is saved of the weights (the adapters; all where no tower has LoRA) and the optimizer's moments.
    """
    parts = memory.estimate(recipe).parts
    adapted, _ = adapters.tuned_towers(recipe.tune)
    saved = parts["gradients"] if adapted else parts["weights"]
    return MINIMUM_FREE + round(MOST_CHECKPOINTS * (saved + parts["optimizer"]) + saved)


def _check_precision(recipe: Recipe) -> None:
    check_precision(recipe.model)
    _, full = adapters.tuned_towers(recipe.tune)
    if full and recipe.model.dtype == "bfloat16":
        raise UserError(
            f"tune.{full[0]}: full: bfloat16 weights round small updates away; set model.dtype: float32, "
            f"or tune.{full[0]}: lora, whose adapters are float32"
        )


def _check_sharding(recipe: Recipe) -> None:
    """What FSDP and ZeRO-3, which cut weights over devices, cannot do."""
    if is_sharded() and recipe.model.quantization:
        raise UserError(
            f"model.quantization: {recipe.model.quantization}: quantised weights are not cut over devices; "
            "use recipes/accelerate/ddp.yaml"
        )
    if is_sharded(by="ZeRO-3") and recipe.training.gradient_checkpointing:
        raise UserError("training.gradient_checkpointing: does not go with ZeRO-3; use recipes/accelerate/fsdp2.yaml")


def _check_attention(recipe: Recipe) -> None:
    if recipe.model.attention != "flash_attention_2":
        return
    if importlib.util.find_spec("flash_attn") is None or not torch.cuda.is_available():
        raise UserError("model.attention: flash_attention_2 needs a CUDA device and the package flash-attn; use sdpa")


def _check_optimizer(recipe: Recipe) -> None:
    if recipe.training.optimizer != "paged-adamw-8bit":
        return
    if not torch.cuda.is_available():
        raise UserError("training.optimizer: paged-adamw-8bit needs a CUDA device, and there is none; use adamw")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            "training.optimizer: paged-adamw-8bit needs bitsandbytes; pip install '.[gpu]' in Lookbook's folder"
        )


def _check_rates(recipe: Recipe) -> None:
    for tower, rate in recipe.training.learning_rates:
        if rate is not None and getattr(recipe.tune, tower) == "frozen":
            raise UserError(
                f"training.learning_rates.{tower}: {rate}, but tune.{tower} is frozen; leave one of them out"
            )


def _check_tracker(recipe: Recipe) -> None:
    if recipe.training.tracker != "wandb" or os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return
    if importlib.util.find_spec("wandb") is None:
        raise UserError("training.tracker: wandb is not installed; pip install '.[track]' in Lookbook's folder")
    netrc = Path("~/.netrc").expanduser()
    if not os.environ.get("WANDB_API_KEY") and not (netrc.is_file() and "wandb" in netrc.read_text(encoding="utf-8")):
        raise UserError("training.tracker: wandb has no credentials; run `wandb login`, or set WANDB_MODE=offline")


def check_disk(folder: Path, needed: int) -> None:
    """Raise `UserError` where `needed` bytes cannot be written to `folder`, which need not exist."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise UserError(f"{existing}: cannot be written to")
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(f"{existing}: {free / 1e9:.1f} GB free on its disk, at least {needed / 1e9:.1f} GB needed")
