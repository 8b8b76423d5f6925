"""Checkpoints: visible only as a whole, the newest and the best kept."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from json import JSONDecodeError
from pathlib import Path
from pickle import UnpicklingError

from accelerate.utils import parse_flag_from_env
from safetensors import SafetensorError
from transformers import TrainerState

from finetune.models.loading import is_sharded
from metrics.common.errors import UserError, first_line
from metrics.common.json_text import parse_json
from metrics.records.json_reader import JsonReader

WRITING = ".writing"
STATE_FILE = "trainer_state.json"
_NUMBERS = ("global_step", "max_steps", "epoch", "num_train_epochs", "total_flos", "best_metric", "best_global_step")
NAME = re.compile(r"checkpoint-\d+")
# What safetensors, pickle and json raise for a file that is damaged.
DAMAGED = (SafetensorError, UnpicklingError, EOFError, JSONDecodeError, UnicodeDecodeError)
# What Trainer raises if a file that could be read contains something else, but also if a library has changed.
UNCLEAR = (ValueError, LookupError, TypeError, AttributeError)
REMOVE = "Remove that folder: training resumes from an older checkpoint if there is one, else begins from the start"
RESUME = "give the same command again (`train`: with --resume)"
KEEP = (
    "Either a file in it is damaged, or a library has changed since it was written: install the versions that wrote it "
    "and resume, or move that folder elsewhere to resume from an older checkpoint (LOOKBOOK_DEBUG=1 shows the cause)"
)
# torch raises bare RuntimeErrors for damaged files and full disks, as it does for memory that is exhausted.
TORCH_CANNOT_READ = ("PytorchStreamReader", "corrupt file", "legacy .tar format", "RNG state", "loading state_dict")
TORCH_CANNOT_WRITE = ("inline_container.cc", "iostream error", "PytorchStreamWriter", "Parent directory")


def publish(folder: Path, name: str, best: str | None) -> None:
    """Make the checkpoint `name`, written in `folder`'s hidden folder, visible; remove all but it and the `best`.

    It is on the disk before it is visible, and visible before another is removed.
    """
    written = folder / WRITING / name
    for path in [*written.rglob("*"), written]:
        _sync(path)
    _remove(folder / name)
    written.rename(folder / name)
    _sync(folder)
    remove_others(folder, {name, best})


def remove_others(folder: Path, names: set[str | None]) -> None:
    """Remove the checkpoints of `folder` whose name is not among `names`, each atomically, and nothing else."""
    for checkpoint in folder.glob("checkpoint-*"):
        if NAME.fullmatch(checkpoint.name) and checkpoint.name not in names:
            _remove(checkpoint)
    shutil.rmtree(folder / WRITING, ignore_errors=True)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`, if any."""
    checkpoints = [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name)]
    whole = [path for path in checkpoints if (path / STATE_FILE).is_file()]
    return max(whole, key=lambda path: int(path.name.partition("-")[2]), default=None)


def remove_incomplete(folder: Path) -> None:
    """Remove what a killed training left half written, or half removed, in `folder`."""
    shutil.rmtree(folder / WRITING, ignore_errors=True)


def check_whole(checkpoint: Path, processes: int) -> None:
    """Raise `UserError` if `checkpoint` lacks a file that `processes` processes resume from; Trainer may ignore it."""
    with reading(checkpoint):
        names = [path.name for path in checkpoint.iterdir()]
        _refuse_other_processes(checkpoint, names, processes)
        needed = [*_needed(), *_generators(processes)]
        lacking = [pattern for pattern in needed if not any(fnmatch(name, pattern) for name in names)]
        if lacking:
            raise FileNotFoundError(f"it lacks {', '.join(lacking)}")
        _check_state(checkpoint / STATE_FILE)
        step = TrainerState.load_from_json(str(checkpoint / STATE_FILE)).global_step
        if checkpoint.name != f"checkpoint-{step}":
            raise UserError(f"{checkpoint}: does not load: its {STATE_FILE} is of step {step}. {REMOVE}")


def _check_state(path: Path) -> None:
    """Raise `UserError` or `ValueError` if what Trainer takes as it is has another type."""
    state = JsonReader(parse_json(path.read_bytes()), f"{path.parent}: does not load: {path.name}", REMOVE)
    for key in _NUMBERS:
        state.number(key)
    state.each("log_history")
    state.mapping("stateful_callbacks")


def _needed() -> tuple[str, ...]:
    """Patterns of the files beside the random generators; DeepSpeed checks its own."""
    if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED"):
        return ()
    return ("optimizer*", "scheduler.pt") if is_sharded("FSDP") else ("*.safetensors", "optimizer.pt", "scheduler.pt")


def _generators(processes: int) -> list[str]:
    return [f"rng_state_{rank}.pth" for rank in range(processes)] if processes > 1 else ["rng_state.pth"]


def _refuse_other_processes(checkpoint: Path, names: list[str], processes: int) -> None:
    generators = {name for name in names if fnmatch(name, "rng_state*.pth")}
    if len(generators) not in (0, processes) and generators == {*_generators(len(generators))}:
        raise UserError(
            f"{checkpoint}: written by {len(generators)} processes, and this training has {processes}: start "
            f"{len(generators)} of them, so that it is the same training, or choose another output=..."
        )


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A hidden folder of `folder` for the next checkpoint.

    Raises `UserError` if it cannot be written; what is no failure to write, such as exhausted memory, passes through.
    """
    hidden = folder / WRITING
    try:
        yield hidden
    except (OSError, SafetensorError, RuntimeError) as error:
        _refuse_without_handles(error, folder)
        if isinstance(error, RuntimeError) and not _mentions(error, TORCH_CANNOT_WRITE):
            raise
        shutil.rmtree(hidden, ignore_errors=True)
        whole = ", ".join(sorted(path.name for path in folder.glob("checkpoint-*"))) or "none yet"
        raise UserError(
            f"{folder}: the checkpoint could not be written: {first_line(error)}. Whole ones: {whole}; make room on "
            f"the disk, then {RESUME}"
        ) from error


@contextmanager
def reading(checkpoint: Path) -> Iterator[None]:
    """Raise `UserError` if a file of `checkpoint` is missing or damaged, or Trainer cannot use what is in it.

    The message asks to remove the checkpoint only if it is certainly damaged. Errors that are not the checkpoint's pass
    through: exhausted memory, for which `micro_batch` halves the micro-batches, or a disk that cannot be read.
    """
    try:
        yield
    except (OSError, RuntimeError, *DAMAGED, *UNCLEAR) as error:
        _refuse_without_handles(error, checkpoint)
        if _is_damage(error):
            raise UserError(f"{checkpoint}: does not load: {first_line(error)}. {REMOVE}") from error
        if isinstance(error, UNCLEAR):
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise UserError(f"{checkpoint}: does not load: {reason}. {KEEP}") from error
        raise


def _is_damage(error: Exception) -> bool:
    """Whether a file is certainly missing or damaged; EINVAL is torch's seek beyond the end of a cut file."""
    if isinstance(error, OSError):
        return isinstance(error, FileNotFoundError) or error.errno in (None, errno.EINVAL)
    return isinstance(error, DAMAGED) or (isinstance(error, RuntimeError) and _mentions(error, TORCH_CANNOT_READ))


def _refuse_without_handles(error: Exception, folder: Path) -> None:
    """Raise `UserError` if `error` came of too many open files, for which safetensors raises FileNotFoundError."""
    exhausted = _mentions(error, (os.strerror(errno.EMFILE), os.strerror(errno.ENFILE)))
    if isinstance(error, FileNotFoundError) and not exhausted:
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as probe:
            exhausted = probe.errno in (errno.EMFILE, errno.ENFILE)
    if exhausted:
        raise UserError(
            f"{folder}: {os.strerror(errno.EMFILE).lower()}; the checkpoints are whole. Raise the limit (ulimit -n), "
            f"then {RESUME}"
        ) from error


def _mentions(error: Exception, texts: tuple[str, ...]) -> bool:
    return any(text in str(error) for text in texts)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(checkpoint: Path) -> None:
    """Hide it first: a checkpoint half removed must not be taken for a whole one."""
    if checkpoint.is_dir():
        hidden = checkpoint.parent / WRITING / f"old-{checkpoint.name}"
        hidden.parent.mkdir(exist_ok=True)
        shutil.rmtree(hidden, ignore_errors=True)
        checkpoint.rename(hidden)
        shutil.rmtree(hidden)
