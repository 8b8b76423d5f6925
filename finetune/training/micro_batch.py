"""Micro-batches that fit into memory: when it runs out they are halved, and twice as many make the same batch.

Trainer's own `auto_find_batch_size` leaves the accumulation alone, so that the effective batch shrinks.
"""

import json
import sys
from collections.abc import Callable
from typing import TypeVar

from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from finetune.config.recipe import Training
from finetune.runs.folder import RunFolder
from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_json_object, write_text
from metrics.records.json_reader import JsonReader

Result = TypeVar("Result")


def fitting(training: Training, run: RunFolder, processes: int, train: Callable[[int], Result]) -> Result:
    """Call `train` with the recipe's micro-batch size, or with smaller ones when it runs out of memory.

    The size that fits is kept in the run's folder, so that a resumed run begins with it. Raises `UserError` if a
    single photo does not fit, and if the other processes of the run must be started again with the smaller size.
    """
    size = _kept_size(training, run, processes)
    while True:
        try:
            return train(size)
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            reason = str(error).splitlines()[0]
        size = _smaller(training, run, size, processes, reason)
        clear_device_cache(garbage_collection=True)


def with_micro_batch(training: Training, size: int) -> Training:
    """The same optimisation with micro-batches of this size; the batch of an optimizer step is unchanged."""
    return training.model_copy(update={"micro_batch_size": size})


def _smaller(training: Training, run: RunFolder, size: int, processes: int, reason: str) -> int:
    if size == 1:
        raise UserError(
            f"out of memory with a single photo ({reason}); what needs less: training.gradient_checkpointing=true, "
            "model.quantization=nf4, a smaller decoding.batch_size where photos are captioned"
        )
    batch = training.batch_size
    smaller = next(one for one in range(size // 2, 0, -1) if batch % (one * processes) == 0)
    make_folder(run.path)
    write_text(run.micro_batch, json.dumps({"wanted": training.micro_batch_size, "fits": smaller}))
    message = f"out of memory with micro-batches of {size} ({reason}); {batch // (smaller * processes)} of {smaller}"
    if processes > 1:
        raise UserError(f"{message} will make the same batch; start again with --resume, on all devices")
    print(f"{message} make the same batch", file=sys.stderr)
    return smaller


def _kept_size(training: Training, run: RunFolder, processes: int) -> int:
    """The size that an earlier start found to fit, if it began with the recipe's; else the recipe's."""
    wanted = training.micro_batch_size
    if not run.micro_batch.is_file():
        return wanted
    record = JsonReader(read_json_object(run.micro_batch, "remove it"), str(run.micro_batch), "remove it")
    found, fits = record.whole("wanted"), record.whole("fits")
    if found is None or fits is None:
        raise record.error('damaged: expected "wanted" and "fits"')
    fits = fits if found == wanted else wanted
    return fits if 0 < fits < wanted and training.batch_size % (fits * processes) == 0 else wanted
