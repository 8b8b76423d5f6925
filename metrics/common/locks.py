"""One process at a time: a lock on a file, which ends with its process however that comes about."""

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError

_POLL_SECONDS = 0.5


@contextmanager
def alone(folder: Path, waiting: str) -> Iterator[None]:
    """Hold `folder`, which need not exist, against others with the same cache; they say `waiting` on stderr, and wait.

    Raises:
        UserError: when the lock, a file in the cache, cannot be made.
    """
    with _opened(folder) as handle:
        if not taken(handle):
            print(waiting, file=sys.stderr)
            while not taken(handle):
                time.sleep(_POLL_SECONDS)
        yield


def _opened(folder: Path) -> IO[bytes]:
    name = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    lock = cache_folder("locks", name)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+b")
    except OSError as error:
        raise UserError(f"{lock}: cannot lock {folder} by it ({error.strerror}); set LOOKBOOK_CACHE") from error


def taken(handle: IO[bytes]) -> bool:
    """Take the lock of an open file, False where another process has it; raises `OSError` where files have no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
