"""Processes of ours: a command that ends when we are ended, and one of them to a folder."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
from filelock import FileLock, Timeout

from metrics.errors import UserError

ENDING = (signal.SIGTERM, signal.SIGHUP)


def call(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code.

    Where we are told to end (SIGTERM, SIGHUP) so is all that the command has started: a training that lived on would
    hold its folder.
    """
    process = subprocess.Popen(command)  # noqa: S603

    def end(number: int, _: FrameType | None) -> None:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.terminate()
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
