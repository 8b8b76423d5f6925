"""Processes of ours: a command that ends when we are ended, and one of them to a folder."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from filelock import FileLock, Timeout
from torch.distributed import DistNetworkError

from metrics.common.errors import UserError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def call(command: Sequence[str], environment: Mapping[str, str] | None = None, *, launcher: bool = False) -> int:
    """Run a command to its end and return its exit code.

    Where we are told to end, so is what we wait for, or what it has started where it is a `launcher` that passes no
    signal on; we wait until it has, since a training that lived on would hold its folder.
    Raises `SystemExit` with 128 + the signal's number where we were told to end.
    """
    told: list[int] = []
    process = psutil.Popen(command, env=environment)

    def pass_on(number: int) -> None:
        told.append(number)
        with suppress(psutil.NoSuchProcess):
            for one in (process.children() if launcher else []) or [process]:
                one.terminate()

    with on_ending(pass_on):
        code = int(process.wait())
    if told:
        raise SystemExit(128 + told[0])
    return code


@contextmanager
def on_ending(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` with the number of each signal that would end us; those that are ignored (nohup) stay so."""

    def handler(number: int, _: FrameType | None) -> None:
        handle(number)

    ours = threading.current_thread() is threading.main_thread()
    caught = [number for number in ENDING if ours and signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in caught}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder against another process. Raises `UserError` where one holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{folder}: another training or run works there; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def distributed() -> PartialState:
    """This process among those that `accelerate launch` started. Raises `UserError` where they cannot meet."""
    try:
        state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))  # it does not ask by itself
    except DistNetworkError as error:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise UserError(
            f"{address}: the processes cannot meet there: {str(error).splitlines()[0]}. Does another training hold the "
            "port? Give one that is free: accelerate launch --main_process_port 0"
        ) from error
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if state.num_processes != started:
        raise UserError(
            f"accelerate launch started {started} processes for GPUs, and there is none here; on the CPU set "
            "ACCELERATE_USE_CPU=true, or use recipes/accelerate/cpu.yaml"
        )
    return state
