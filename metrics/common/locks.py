"""Locks between processes: on a file, which says who holds it; released when that process ends, however it ends."""

import hashlib
import math
import platform
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.parallel import raise_if_ended
from metrics.common.processes import identity, process_of

_POLL_SECONDS = 0.1
_LONGEST_COMMAND = 200
_UNKNOWN = "it does not say which"
_OWNER = re.compile(r"(\d+ \d+\.\d\d) (\S*)")  # identity and host


@contextmanager
def alone(folder: Path, waiting: str) -> Iterator[None]:
    """Lock `folder`, which need not exist, for the block; other processes with the same cache print `waiting` and wait.

    Raises:
        UserError: when the lock, a file in the cache, cannot be made.
    """
    name = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    path = cache_folder("locks", name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = acquire(path, waiting)
    except OSError as error:
        raise UserError(
            f"{path}: cannot lock {folder} with this file ({error.strerror}); set LOOKBOOK_CACHE"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def refusing_others(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Hold the lock of the file `path` for the block.

    Raises:
        UserError: when another process holds it: `what`, that process, and the `remedy`.
        OSError: when the file cannot be made or its file system has no locks.
    """
    lock = _try(path)
    if lock is None:
        raise UserError(f"{what}: {holder(path)}; {remedy}")
    try:
        yield
    finally:
        lock.release()


def acquire(path: Path, waiting: str, patience: float = math.inf) -> FileLock:
    """Return the lock of the file `path`, held; while another process holds it, print `waiting`, who it is, and wait.

    Raises:
        OSError: when the file cannot be made or its file system has no locks.
        Timeout: when it is still held after `patience` seconds.
        UserError: when another task of `side_by_side` fails while this one waits.
    """
    lock, start = _try(path), time.monotonic()
    if lock is None:
        print(f"{waiting}: {holder(path)}", file=sys.stderr)
    while lock is None:
        raise_if_ended()
        if time.monotonic() - start >= patience:
            raise Timeout(str(path))
        time.sleep(_POLL_SECONDS)
        lock = _try(path)
    return lock


def holder(path: Path) -> str:
    """Say which process holds the lock of the file `path`: pid, command, when it was started."""
    try:
        found = _OWNER.fullmatch(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found is None:
        return _UNKNOWN
    if found[2] != platform.node():
        return f"process {found[1].split()[0]} on {_printable(found[2])}"
    process = process_of(found[1])
    return _UNKNOWN if process is None else _described(process)


def _try(path: Path) -> FileLock | None:
    """The lock, held, with this process in its file; None if another process holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    with suppress(OSError, ValueError):  # a lock holds without a name, as on a full disk
        text = path.read_text(encoding="utf-8")
        if not text or _OWNER.fullmatch(text):  # other content is not ours: filelock's own where there are no locks
            path.write_text(f"{identity()} {platform.node()}", encoding="utf-8")
    return lock


def _described(process: psutil.Process) -> str:
    try:
        command = _printable(shlex.join(process.cmdline()))
        started = datetime.fromtimestamp(process.create_time()).strftime("%Y-%m-%d %H:%M:%S")
    except psutil.Error:  # ended meanwhile
        return _UNKNOWN
    return f"process {process.pid} ({command}), started {started}"


def _printable(text: str) -> str:
    shown = "".join(one if one.isprintable() else "?" for one in text)
    return shown if len(shown) <= _LONGEST_COMMAND else f"{shown[:_LONGEST_COMMAND]}..."
