"""One process at a time: a lock on a file, which ends with its process however that comes about."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from metrics.files import make_folder

_POLL_SECONDS = 0.5


@contextmanager
def alone(lock: Path, waiting: str) -> Iterator[None]:
    """Hold the file `lock`, made where it is missing; `waiting` is said on stderr where another process holds it.

    Raises:
        UserError: when its folder cannot be made.
        OSError: when the file cannot be opened.
    """
    make_folder(lock.parent)
    with lock.open("a+b") as handle:
        if not _taken(handle):
            print(waiting, file=sys.stderr)
            while not _taken(handle):
                time.sleep(_POLL_SECONDS)
        yield


def _taken(handle: IO[bytes]) -> bool:
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
