"""Micro-batches that fit: where memory does not suffice they are halved, and twice as many make the same batch.

Trainer's own `auto_find_batch_size` leaves the accumulation alone, so that the effective batch shrinks.
"""

import json
from collections.abc import Callable
from typing import TypeVar

from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from finetune.config.recipe import Recipe
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer

FILE = "micro-batch.json"
Result = TypeVar("Result")


def fitting(recipe: Recipe, processes: int, train: Callable[[int], Result]) -> Result:
    """Call `train` with the recipe's micro-batch size, or with smaller ones where it runs out of memory.

    The size that fits is kept in the run's folder, so that a resumed run begins with it. Raises `UserError` where a
    single photo does not fit, and where other processes of the run must be started anew with the smaller size.
    """
    size = _kept(recipe, processes)
    while True:
        try:
            return train(size)
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            reason = str(error).splitlines()[0]
        size = _smaller(recipe, size, processes, reason)
        clear_device_cache(garbage_collection=True)


def with_micro_batch(recipe: Recipe, size: int) -> Recipe:
    """The recipe with micro-batches of this size; the batch of an optimizer step stays."""
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"micro_batch_size": size})})


def _smaller(recipe: Recipe, size: int, processes: int, reason: str) -> int:
    if size == 1:
        raise UserError(
            f"out of memory with a single photo ({reason}); what takes less: training.gradient_checkpointing=true, "
            "model.quantization=nf4, a smaller decoding.batch_size where photos are captioned"
        )
    batch = recipe.training.batch_size
    smaller = next(one for one in range(size // 2, 0, -1) if batch % (one * processes) == 0)
    recipe.output.mkdir(parents=True, exist_ok=True)
    with atomic_writer(recipe.output / FILE) as file:
        json.dump({"wanted": recipe.training.micro_batch_size, "fits": smaller}, file)
    told = f"out of memory with micro-batches of {size} ({reason}); {batch // (smaller * processes)} of {smaller}"
    if processes > 1:
        raise UserError(f"{told} will make the same batch; start again with --resume, on all devices")
    print(f"{told} make the same batch", flush=True)
    return smaller


def _kept(recipe: Recipe, processes: int) -> int:
    """The size that an earlier start found, if it looked from the same one; else the recipe's."""
    path, wanted = recipe.output / FILE, recipe.training.micro_batch_size
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        fits = int(found["fits"]) if found["wanted"] == wanted else wanted
    except FileNotFoundError:
        return wanted
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); remove it") from None
    return fits if 0 < fits < wanted and recipe.training.batch_size % (fits * processes) == 0 else wanted
