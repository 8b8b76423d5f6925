"""Files and folders that appear whole or not at all, and readers whose errors name the file."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from metrics.common.errors import UserError
from metrics.common.json_text import parse_json

# JSON keeps these raw, but some readers split lines at them, and lone surrogates have no UTF-8.
_FRAGILE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_LINE = 1 << 26  # bytes


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a hidden place beside `path`; the file written there takes that name only when the block has ended well.

    Raises:
        UserError: when the file cannot be written (folder missing or read-only, disk full).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # what could not be written may be a place where nothing can be
            temporary.unlink()


@contextmanager
def atomic_writer(path: Path) -> Iterator[TextIO]:
    """Open `path` for UTF-8 text; the file appears under its name only when the block has ended well.

    Lone surrogates are written as backslash escapes.

    Raises:
        UserError: when the file cannot be written (folder missing or read-only, disk full).
    """
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as handle,
    ):
        yield handle
        handle.flush()
        os.fsync(handle.fileno())


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically; raises `UserError` when it cannot be written."""
    with atomic_writer(path) as handle:
        handle.write(text)


@contextmanager
def atomic_folder(folder: Path, keep_existing: bool = False) -> Iterator[Path]:
    """Yield an empty draft beside `folder`, which takes that name only when the block has ended well.

    The draft is hidden (`.NAME-...`) and is removed if the block fails. Parents are made; a `folder` that exists must
    be empty. With `keep_existing`, a `folder` that another process has made meanwhile stays and the draft is removed.

    Raises:
        UserError: when the folder cannot be written (parent read-only, disk full, `folder` holds something).
    """
    draft = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        yield draft
        draft.chmod(0o755)  # mkdtemp makes 0o700
        _rename(draft, folder, keep_existing)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def _rename(draft: Path, folder: Path, keep_existing: bool) -> None:
    try:
        draft.rename(folder)
    except OSError:
        if not (keep_existing and folder.is_dir()):
            raise


def check_folder(path: Path, remedy: str = "give another --out") -> Path:
    """Raise `UserError` if the folder `path` could not be made or written; makes nothing.

    `remedy` ends the message. Returns the folder, or the nearest one above it that exists.
    """
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        problem = "cannot be written to" if existing.is_dir() else "is not a folder"
        raise UserError(f"cannot make the folder {path}: {existing} {problem}; {remedy}")
    return existing


def make_folder(path: Path) -> None:
    """Make the folder `path` and its parents if missing; raises `UserError` when it cannot be made."""
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


def read_json_object(path: Path, remedy: str, parse_constant: Callable[[str], Any] = float) -> dict[str, Any]:
    """Read a file that holds one JSON object in UTF-8.

    Args:
        path: the file. If it may be missing, ask `path.is_file()` first.
        remedy: what the user can do about a file that is missing or damaged; it ends the message.
        parse_constant: as in `parse_json`: what `NaN`, `Infinity` and `-Infinity` become.

    Raises:
        UserError: naming the file, when it is missing, cannot be read, is damaged or holds anything but an object.
            If it cannot be read (permissions, too many open files), the message leaves `remedy` out.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; {remedy}")
    try:
        value = parse_json(read_bytes(path), parse_constant)
    except ValueError as error:
        raise UserError(f"{path}: expected a JSON object, found damaged text ({error}); {remedy}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(value).__name__}; {remedy}")
    return value


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number, from 1, and the value of each line of a JSON Lines file that is not blank; holds one at a time.

    Raises:
        UserError: naming file and line, when the file cannot be read, or a line is not UTF-8, not JSON or longer than
            64 MiB.
    """
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise UserError(f"{path}:{number}: longer than 64 MiB; expected one JSON object a line")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield number, parse_json(line)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: not UTF-8 (byte {error.start} of the line); convert the file") from error
    except ValueError as error:
        raise UserError(f"{path}:{number}: not JSON ({error}); expected one JSON object a line") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; raises `UserError` naming it when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def one_line(json_text: str) -> str:
    """Escape the characters that could break a line of JSON text, or its UTF-8 encoding; the meaning stays."""
    return _FRAGILE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
