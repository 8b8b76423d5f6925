"""Locks between processes: a lock on a file, released when its process ends, however it ends."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.parallel import raise_if_ended

_POLL_SECONDS = 0.5


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


def acquire(path: Path, waiting: str) -> FileLock:
    """Return the lock of the file `path`, held; while another process holds it, print `waiting` on stderr and wait.

    Raises:
        OSError: when the file cannot be made or its file system has no locks.
        UserError: when another task of `side_by_side` fails while this one waits.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr)
    while not lock.is_locked:
        raise_if_ended()
        with suppress(Timeout):
            lock.acquire(timeout=_POLL_SECONDS)
    return lock
