"""Python processes that run our code, whatever packages the current folder has."""

import os
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import psutil

_ROOT = str(Path(__file__).parents[2])
_CLOCK_SECONDS = 2.0  # by which the start of a process may seem to move when the system's clock is set


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs `module` in this Python; start it with `child_environment`."""
    return [sys.executable, "-m", module, *arguments]


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a child, with `changes`, in which it and its own children import the code that runs here.

    Without PYTHONSAFEPATH, `python -m` imports from the current folder first: a user's own folder `metrics` there would
    be imported instead of ours. A folder that is not installed is added to PYTHONPATH.
    """
    environment = os.environ | {"PYTHONSAFEPATH": "1"} | changes
    if sysconfig.get_path("purelib") != _ROOT:  # installed packages would come before the standard library
        paths = [_ROOT, os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


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
