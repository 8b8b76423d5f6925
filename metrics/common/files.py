"""Files that are there as a whole or not at all."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from metrics.common.errors import UserError

# JSON keeps these raw, but some readers split lines at them, and lone surrogates have no UTF-8.
_FRAGILE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@contextmanager
def atomic_writer(path: Path) -> Iterator[TextIO]:
    """Open `path` for UTF-8 text; the file appears under its name only when the block has ended well.

    Lone surrogates are written as backslash escapes.

    Raises:
        UserError: when the file cannot be written (folder missing or read-only, disk full).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically; raises `UserError` when it cannot be written."""
    with atomic_writer(path) as handle:
        handle.write(text)


def check_folder(path: Path) -> None:
    """Raise `UserError` where the folder `path` is a file or could not be made; makes nothing."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(
            f"cannot make the folder {path}: {existing} is not a folder that can be written; give another --out"
        )


def make_folder(path: Path) -> None:
    """Make the folder `path` with its parents where it is missing; raises `UserError` when it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror or error}; give another --out") from error


def read_bytes(path: Path) -> bytes:
    """Read a file; raises `UserError` naming it when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; raises `UserError` naming it when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def one_line(json_text: str) -> str:
    """Escape what could break a line of JSON text, or its UTF-8 encoding, without changing its meaning."""
    return _FRAGILE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
