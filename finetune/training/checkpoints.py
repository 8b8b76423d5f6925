"""Checkpoints: visible only as a whole, the newest and the best kept."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate.utils import parse_flag_from_env
from transformers import TrainerState
from transformers.trainer_utils import get_last_checkpoint

from finetune.models.loading import is_sharded
from metrics.common.errors import UserError

WRITING = ".writing"
STATE_FILE = "trainer_state.json"


def publish(folder: Path, name: str, kept: str | None) -> None:
    """Make the checkpoint `name`, written in `folder`'s hidden folder, visible; remove others than it and `kept`.

    It is on the disk before it is seen, and seen before another goes.
    """
    written = folder / WRITING / name
    for path in [*written.rglob("*"), written]:
        _sync(path)
    _remove(folder / name)
    written.rename(folder / name)
    _sync(folder)
    remove_others(folder, {name, kept})


def remove_others(folder: Path, kept: set[str | None]) -> None:
    """Remove the checkpoints of `folder` that are not `kept`, each at once."""
    for checkpoint in folder.glob("checkpoint-*"):
        if checkpoint.name not in kept:
            _remove(checkpoint)
    shutil.rmtree(folder / WRITING, ignore_errors=True)


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint in `folder`, if any; what was cut off while it was written is removed."""
    shutil.rmtree(folder / WRITING, ignore_errors=True)
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / STATE_FILE).is_file():
            _remove(checkpoint)
    return get_last_checkpoint(str(folder)) if folder.is_dir() else None


def check_whole(checkpoint: str, processes: int) -> None:
    """Raise `UserError` where `checkpoint` lacks what so many processes go on from; Trainer does not always."""
    folder = Path(checkpoint)
    with reading(checkpoint):
        _refuse_other_processes(folder, processes)
        lacking = [name for name in [*_needed(), *_generators(processes)] if not any(folder.glob(name))]
        if lacking:
            raise FileNotFoundError(f"it lacks {', '.join(lacking)}")
        step = TrainerState.load_from_json(str(folder / STATE_FILE)).global_step
        if folder.name != f"checkpoint-{step}":
            raise ValueError(f"its {STATE_FILE} is of step {step}")


def _needed() -> tuple[str, ...]:
    """Patterns of the files beside the random generators; DeepSpeed checks its own."""
    if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED"):
        return ()
    return ("optimizer*", "scheduler.pt") if is_sharded("FSDP") else ("*.safetensors", "optimizer.pt", "scheduler.pt")


def _generators(processes: int) -> list[str]:
    return [f"rng_state_{rank}.pth" for rank in range(processes)] if processes > 1 else ["rng_state.pth"]


def _refuse_other_processes(folder: Path, processes: int) -> None:
    found = {path.name for path in folder.glob("rng_state*.pth")}
    if len(found) not in (0, processes) and found == {*_generators(len(found))}:
        raise UserError(
            f"{folder}: written by {len(found)} processes, and {processes} are to go on with it: start as many as "
            "then, so that it is the same training, or choose another output=..."
        )


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A hidden folder of `folder` for the next checkpoint. Raises `UserError` where it cannot be written."""
    hidden = folder / WRITING
    try:
        yield hidden
    except UserError:
        raise
    except Exception as error:  # torch and safetensors tell a full disk by errors of their own
        shutil.rmtree(hidden, ignore_errors=True)
        found = ", ".join(sorted(path.name for path in folder.glob("checkpoint-*"))) or "none yet"
        raise UserError(
            f"{folder}: the checkpoint could not be written: {_reason(error)}. Whole ones: {found}; make room, "
            "then go on by the same command with --resume"
        ) from error


@contextmanager
def reading(checkpoint: str) -> Iterator[None]:
    """Raise `UserError` where `checkpoint` cannot be read."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each file of it has a reader with errors of its own
        raise UserError(
            f"{checkpoint}: does not load: {_reason(error)}. Remove that folder; --resume goes on from an older "
            "checkpoint where there is one, else from the start"
        ) from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(checkpoint: Path) -> None:
    """Out of sight first: a checkpoint half removed must not be taken for one."""
    if checkpoint.is_dir():
        hidden = checkpoint.parent / WRITING / f"old-{checkpoint.name}"
        hidden.parent.mkdir(exist_ok=True)
        shutil.rmtree(hidden, ignore_errors=True)
        checkpoint.rename(hidden)
        shutil.rmtree(hidden)
