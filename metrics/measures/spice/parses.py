"""The folder in which the SPICE jar caches its parses: one process at a time, and protected against foreign content."""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from metrics.common.cache import cache_folder
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.files import write_text
from metrics.common.locks import acquire, holder

_DATA = "data.mdb"
_SEAL = "seal"
_OPEN = "open"
_PATIENCE = 60.0  # seconds that it waits for another process


class UnreadableParsesError(UserError):
    """The jar cannot read the cached parses."""


@contextmanager
def parse_cache() -> Iterator[Path]:
    """Yield the folder of the parses, locked; other processes wait for a minute.

    Afterwards the folder is sealed with the SHA-256 of its database. A database that does not match its seal was
    changed or damaged by others and is removed, so that every parse in it is the jar's. A database left open by a
    killed run is kept, since LMDB has only complete transactions, unless it turns out to be unreadable. If the folder
    cannot be written or locked, or another process still has it after a minute, a temporary one is used instead.

    Raises:
        UserError: when the folder is too full to be sealed, or another measure fails meanwhile.
    """
    folder = cache_folder("spice", "parses")
    lock = _lock(folder)
    if lock is None:
        with temporary_folder() as temporary:
            yield temporary
        return
    try:
        with _sealed(folder):
            yield folder
    finally:
        lock.release()


@contextmanager
def _sealed(folder: Path) -> Iterator[None]:
    seal = folder / _SEAL
    former = seal.read_bytes().decode("utf-8", "replace") if seal.is_file() else ""
    if (folder / _DATA).exists() and former not in {_OPEN, _digest(folder)}:
        print(
            f"SPICE: the parses in {folder} are damaged or not its own; they are removed and made again",
            file=sys.stderr,
        )
        _forget(folder)
    write_text(seal, _OPEN)
    trusted = former != _OPEN
    try:
        yield
        trusted = True
    except UnreadableParsesError as error:
        if not trusted:
            _forget(folder)
        remedy = f"if that happens again, remove {folder}" if trusted else "they are removed now, so run it again"
        raise UnreadableParsesError(f"{error}\nSPICE cannot read its cached parses; {remedy}") from error
    finally:
        if trusted:
            write_text(seal, _digest(folder))


def _forget(folder: Path) -> None:
    for name in (_DATA, "lock.mdb"):
        (folder / name).unlink(missing_ok=True)


def _digest(folder: Path) -> str:
    if not (folder / _DATA).exists():
        return ""
    with (folder / _DATA).open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _lock(folder: Path) -> FileLock | None:
    """Return the folder's lock, held; None, with the reason on stderr, if it cannot be written, or locked in time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        return acquire(folder / "lock", f"SPICE: waiting for another process that uses {folder}", _PATIENCE)
    except Timeout:
        still = f"SPICE: {folder} is still in use after {_PATIENCE:.0f} s, so parses are not cached"
        print(f"{still}: {holder(folder / 'lock')}", file=sys.stderr)
        return None
    except OSError as error:
        why = error.strerror or error
        print(f"SPICE: {folder} cannot be written or locked ({why}), so parses are not cached", file=sys.stderr)
        return None
