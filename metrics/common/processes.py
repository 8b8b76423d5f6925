"""Processes of our own: they run our code whatever packages the current folder has, and end with who started them."""

import os
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import psutil

Result = TypeVar("Result")
_ROOT = str(Path(__file__).parents[2])
_STARTED_BY = "LOOKBOOK_STARTED_BY"
_POLL_SECONDS = 1.0
_CLOCK_SECONDS = 10.0  # by which the start of a process may seem to move when the system's clock is set


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs `module` in this Python; start it with `child_environment`."""
    return [sys.executable, "-m", module, *arguments]


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a child, with `changes`, in which it and its own children import the code that runs here.

    It names this process, so that each of them that calls `end_with_starter` ends when this one does: launchers between
    them, such as `accelerate launch`, may die without ending what they started.

    Without PYTHONSAFEPATH, `python -m` imports from the current folder first: a user's own folder `metrics` there would
    be imported instead of ours. A folder that is not installed is added to PYTHONPATH.
    """
    environment = os.environ | {"PYTHONSAFEPATH": "1", _STARTED_BY: identity()} | changes
    if sysconfig.get_path("purelib") != _ROOT:  # installed packages would come before the standard library
        paths = [_ROOT, os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def in_own_process(work: Callable[..., Result], *arguments: Any) -> Result:
    """What a function returns in a process of its own, whose memory is free again afterwards; it ends with this one."""
    with ProcessPoolExecutor(1, get_context("spawn"), end_with, (identity(),)) as process:
        return process.submit(work, *arguments).result()


def identity(pid: int | None = None) -> str:
    """Pid and start time (seconds since 1970) of a process, by default this one, by which `process_of` finds it."""
    process = psutil.Process(pid)
    return f"{process.pid} {process.create_time():.2f}"


def process_of(identity: str) -> psutil.Process | None:
    """The process of this `identity`; None if it has ended, even if another one has its pid now."""
    try:
        pid, started = identity.split()
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < _CLOCK_SECONDS
    except (ValueError, psutil.Error):
        return None
    return process if same and _is_alive(process) else None


def end_with_starter() -> None:
    """`end_with` the process that started this one, or a launcher of this one, with `child_environment`; if one did."""
    starter = os.environ.get(_STARTED_BY)
    if starter:
        end_with(starter)


@cache
def end_with(identity: str) -> None:
    """Send this process SIGTERM within a second or so after the process of this `identity` has ended, even killed."""
    threading.Thread(target=_watch, args=(identity,), daemon=True).start()


def is_orphaned() -> bool:
    """Whether a process has ended that this one is to end with; its SIGTERM may follow one that somebody sent."""
    return _orphaned.is_set()


_orphaned = threading.Event()


def _watch(identity: str) -> None:
    process = process_of(identity)
    while process is not None and _is_alive(process):
        time.sleep(_POLL_SECONDS)
    _orphaned.set()
    with suppress(OSError, ValueError):  # stderr may have gone with it
        print(
            f"process {identity.split(maxsplit=1)[0]}, which started this one, has ended", file=sys.stderr, flush=True
        )
    os.kill(os.getpid(), signal.SIGTERM)


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had so far, 0 if the system has no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
