"""The folder in which the SPICE jar keeps its parses: one user at a time, and nobody else's contents."""

import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from metrics.cache import cache_folder
from metrics.errors import UserError
from metrics.files import write_text

_DATA = "data.mdb"
_SEAL = "seal"
_OPEN = "open"


class UnreadableParsesError(UserError):
    """The jar failed before it had read the parses that are there."""


@contextmanager
def parse_cache() -> Iterator[Path]:
    """Give the folder of the parses to the block, alone; another process waits.

    Afterwards the folder is sealed by the SHA-256 of its database. What does not fit its seal was changed or damaged
    by others and is removed, so that every parse in it is the jar's. A database left open by a run that was killed is
    kept, since LMDB holds whole transactions only, unless it turns out to be unreadable. Where the folder cannot be
    written, a temporary one takes its place.

    Raises:
        UserError: when the folder is too full to be sealed.
    """
    folder = cache_folder("spice", "parses")
    if not _writable(folder):
        print(f"SPICE: {folder} cannot be written, so parses are not kept", file=sys.stderr)
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    with (folder / "lock").open("a+b") as lock:
        _wait_for(lock, folder)
        with _sealed(folder):
            yield folder


@contextmanager
def _sealed(folder: Path) -> Iterator[None]:
    seal = folder / _SEAL
    found = seal.read_text(encoding="utf-8") if seal.is_file() else ""
    if (folder / _DATA).exists() and found not in {_OPEN, _digest(folder)}:
        print(f"SPICE: the parses in {folder} are damaged or not its own; they are made again", file=sys.stderr)
        _forget(folder)
    write_text(seal, _OPEN)
    try:
        yield
    except UnreadableParsesError:
        if found == _OPEN:
            _forget(folder)
        raise
    finally:
        write_text(seal, _digest(folder))


def _forget(folder: Path) -> None:
    for name in (_DATA, "lock.mdb"):
        (folder / name).unlink(missing_ok=True)


def _digest(folder: Path) -> str:
    if not (folder / _DATA).exists():
        return ""
    with (folder / _DATA).open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _wait_for(lock: IO[bytes], folder: Path) -> None:
    waiting = False
    while not _taken(lock):
        if not waiting:
            print(f"SPICE: waiting for another process that uses {folder}", file=sys.stderr)
        waiting = True
        time.sleep(0.5)


def _taken(lock: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
