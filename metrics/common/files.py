"""Files and folders that appear whole or not at all, and readers whose errors name the file."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from shutil import copyfile
from typing import Any, TextIO

from metrics.common.drafts import draft_folder, draft_path
from metrics.common.errors import UserError
from metrics.common.json_text import parse_json

# JSON keeps these raw, but some readers split lines at them, and lone surrogates have no UTF-8.
_FRAGILE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_LINE = 1 << 26  # bytes
_drafts: ContextVar[dict[Path, Path] | None] = ContextVar("drafts", default=None)  # drafts by what they become


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a hidden place beside `path`; the file written there takes that name only when the block has ended well.

    Inside a block of `all_or_none` it takes it when that one has ended well.

    Raises:
        UserError: when the file cannot be written (folder missing or read-only, disk full).
    """
    drafts, draft = _drafts.get(), draft_path(path)
    try:
        yield draft
        if drafts is None:
            draft.replace(path)
        else:
            _discard(drafts.get(path))
            drafts[path] = draft
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if drafts is None or drafts.get(path) is not draft:
            _discard(draft)


@contextmanager
def all_or_none() -> Iterator[Mapping[Path, Path]]:
    """The files that `atomic_file`, `atomic_writer` and `write_text` write in the block appear at its end, all or none.

    Yields where each of them is until then. They appear in the order in which they were written. A block in another is
    part of that one. When one cannot be written (disk full), those that were there stay as they were.
    """
    if (outer := _drafts.get()) is not None:
        yield outer
        return
    drafts: dict[Path, Path] = {}
    former = _drafts.set(drafts)
    try:
        yield drafts
        _name_all(drafts)
    finally:
        _drafts.reset(former)
        for draft in drafts.values():
            _discard(draft)


def _name_all(drafts: Mapping[Path, Path]) -> None:
    for path in drafts:
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder")
    for path, draft in drafts.items():
        try:
            draft.replace(path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _discard(draft: Path | None) -> None:
    with suppress(OSError):  # what could not be written may be a place where nothing can be
        if draft is not None:
            draft.unlink()


@contextmanager
def atomic_writer(path: Path) -> Iterator[TextIO]:
    """Open `path` for UTF-8 text; the file appears under its name only when the block has ended well.

    Lone surrogates are written as backslash escapes.

    Raises:
        UserError: when the file cannot be written (folder missing or read-only, disk full).
    """
    with (
        atomic_file(path) as draft,
        draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as handle,
    ):
        yield handle
        handle.flush()
        os.fsync(handle.fileno())


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically; raises `UserError` when it cannot be written."""
    with atomic_writer(path) as handle:
        handle.write(text)


def copy_together(source: Path, folder: Path, names: Iterable[str]) -> None:
    """Copy the files `names` of `source` into `folder`, which is made if it is missing, all or none."""
    make_folder(folder)
    with all_or_none():
        for name in names:
            with atomic_file(folder / name) as draft:
                copyfile(source / name, draft)


@contextmanager
def atomic_folder(folder: Path, keep_existing: bool = False) -> Iterator[Path]:
    """Yield an empty draft beside `folder`, which takes that name only when the block has ended well.

    The draft is hidden and is removed if the block fails. Parents are made; a `folder` that exists must
    be empty. With `keep_existing`, a `folder` that another process has made meanwhile stays and the draft is removed.

    Raises:
        UserError: when the folder cannot be written (parent read-only, disk full, `folder` holds something).
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder) as draft:
            yield draft
            _rename(draft, folder, keep_existing)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error


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


def special_kind(path: Path) -> str | None:
    """What `path` is if it is neither file nor folder: to open a pipe may never end. None also if it is missing."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # opening it says why
        return None
    kinds = {stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket", stat.S_ISCHR: "device", stat.S_ISBLK: "device"}
    return next((kind for is_kind, kind in kinds.items() if is_kind(mode)), None)


def refuse_special(path: Path) -> None:
    """Raise `UserError` if `path` is a pipe, a socket or a device: to read it may never end."""
    if kind := special_kind(path):
        raise UserError(f"{path}: expected a file, found a {kind}; name a file")


def read_bytes(path: Path) -> bytes:
    """Read a file; raises `UserError` naming it when it cannot be read."""
    refuse_special(path)
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
    refuse_special(path)
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
    refuse_special(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def one_line(json_text: str) -> str:
    """Escape the characters that could break a line of JSON text, or its UTF-8 encoding; the meaning stays."""
    return _FRAGILE.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
