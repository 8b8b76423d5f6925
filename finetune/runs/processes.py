"""Child processes that end with us, one process for each folder, and the processes of `accelerate launch`."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch.distributed import DistNetworkError

from metrics.common.errors import UserError
from metrics.common.locks import refusing_others
from metrics.common.processes import end_with, identity, is_orphaned
from metrics.common.screen import is_quiet, say

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def call(command: Sequence[str], environment: Mapping[str, str] | None = None, *, launcher: bool = False) -> int:
    """Run a command to its end and return its exit code.

    A signal that ends us is passed on to the command, or to its children if it is a `launcher` that passes no signal
    on. We wait until they have ended, since a training that continued would keep its folder locked. What it makes is a
    step of what was asked for, so that with --quiet its standard output is dropped.
    Raises `SystemExit` with 128 + the signal's number after such a signal.
    """
    received: list[int] = []
    process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL if is_quiet() else None)

    def pass_on(number: int) -> None:
        received.append(number)
        with suppress(psutil.NoSuchProcess):
            for one in (process.children() if launcher else []) or [process]:
                one.terminate()

    with on_ending(pass_on):
        code = int(process.wait())
    if received:
        raise SystemExit(128 + received[0])
    return code


@contextmanager
def on_ending(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` with the number of each signal that would end us; signals that are ignored (nohup) stay ignored.

    What an orphan gets after a first signal is no second request to end.
    """
    received: list[int] = []

    def handler(number: int, _: FrameType | None) -> None:
        if not (received and is_orphaned()):
            received.append(number)
            handle(number)

    ours = threading.current_thread() is threading.main_thread()
    caught = [number for number in ENDING if ours and signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in caught}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def locked(folder: Path) -> AbstractContextManager[None]:
    """Lock the run's folder for a block. Raises `UserError`, which names it, if another process has locked it."""
    folder.mkdir(parents=True, exist_ok=True)
    what = f"{folder}: another training or run is using this folder"
    return refusing_others(folder / ".lock", what, "wait for it, or stop it")


def distributed() -> PartialState:
    """This process among those that `accelerate launch` started, which end with it if it passes no signal on.

    Raises `UserError` if they cannot connect.
    """
    if "ACCELERATE_MIXED_PRECISION" in os.environ:
        end_with(identity(os.getppid()))
    try:
        state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))  # PartialState does not read it itself
    except DistNetworkError as error:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise UserError(
            f"{address}: the processes cannot connect to each other: {str(error).splitlines()[0]}. Does another "
            "training use the port? Let a free one be chosen: accelerate launch --main_process_port 0"
        ) from error
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if state.num_processes != started:
        raise UserError(
            f"accelerate launch started {started} processes for GPUs, and there is none here; on the CPU set "
            "ACCELERATE_USE_CPU=true, or use recipes/accelerate/cpu.yaml"
        )
    return state


def say_once(text: str) -> None:
    """What one of the processes says for all."""
    if PartialState().is_main_process:
        say(text)
