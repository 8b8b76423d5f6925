"""Python processes that run our code, whatever packages the current folder has."""

import os
import sys
import sysconfig
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])


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


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had so far, 0 if the system has no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
