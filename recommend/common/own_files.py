"""Which files a command may replace: those that it wrote itself."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metrics.common.errors import UserError
from metrics.common.files import check_folder, read_json_object

_HEAD = 1 << 20  # bytes of a page that its heading is among


def check_page(path: Path, mark: str, what: str, option: str = "--out") -> None:
    """Raise `UserError` if a page could not be written to `path`, or if a file without `mark` is there."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: expected {path.parent} to be a folder that can be written to; give another {option}")
    refuse_other_page(path, mark, what, option)


def refuse_other_page(path: Path, mark: str, what: str, option: str = "--out") -> None:
    """Raise `UserError` if there is something at `path` whose beginning lacks `mark`; `what` names ours."""
    if _exists(path) and not (path.is_file() and mark.encode() in _head(path)):
        raise _other(path, what, option)


def refuse_other_table(path: Path, mark: bytes, what: str) -> None:
    """Raise `UserError` if there is something at `path` that is no Parquet file with the metadata `mark`."""
    if not _exists(path):
        return
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        metadata = {}
    if mark not in metadata:
        raise _other(path, what)


def check_results(folder: Path, name: str, mark: str, what: str) -> None:
    """Check the place of `name`.json, which has a signature, and `name`.html in a folder that may have to be made.

    Raises `UserError` if they cannot be written, or if other files have these names.
    """
    check_folder(folder)
    json_path = folder / f"{name}.json"
    if _exists(json_path) and not _has_signature(json_path):
        raise _other(json_path, what)
    refuse_other_page(folder / f"{name}.html", mark, what)


def _has_signature(path: Path) -> bool:
    try:
        return "|version:" in str(read_json_object(path, "").get("signature"))
    except UserError:  # a folder, or no JSON
        return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; give another place, or move it away"
        ) from error


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _other(path: Path, what: str, option: str = "--out") -> UserError:
    return UserError(f"{path}: exists and is no {what}; give another {option}, or move it away")
