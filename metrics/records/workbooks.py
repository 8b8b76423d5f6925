"""The first sheet of an Excel workbook as texts, within bounds: a small file may unpack to terabytes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from metrics.common.errors import UserError, reason_of

_MOST_BYTES = 1 << 29  # unpacked
_MOST_ROWS = 1 << 20  # Excel's own limit
_MOST_CELLS = 50_000_000  # empty ones before the last of their row included


def workbook_rows(path: Path) -> tuple[Iterable[tuple[int, list[str]]], list[str]]:
    """The rows of the first sheet, with their numbers from 1, and notes on what is not read.

    Formulas have the values that Excel saved with them. Whole numbers keep the zeros of a format such as `0000000000`.

    Raises:
        UserError: naming the file, if it is no workbook or too large, or openpyxl is missing. `FileNotFoundError` and
            `PermissionError` as any file.
    """
    _refuse_bomb(path)
    try:
        import openpyxl  # noqa: PLC0415  # comes with the extra `train`
    except ImportError as error:
        raise UserError(f"{path}: an Excel workbook; run: pip install openpyxl, or save it as CSV UTF-8") from error
    with _reading(path):
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        sheets = book.worksheets
        titles = [str(sheet.title) for sheet in sheets]
    if not sheets:
        raise UserError(f"{path}: has no sheet with cells; save the table as its first sheet")
    notes = [f"read is the sheet {titles[0]!r}, not {', '.join(map(repr, titles[1:]))}"] if len(titles) > 1 else []
    return _rows(path, sheets[0]), notes


def _rows(path: Path, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    cells = 0
    with _reading(path):
        sheet.reset_dimensions()  # those that the file claims may be wrong
        for number, row in enumerate(sheet.iter_rows(), 1):
            cells += len(row)
            if number > _MOST_ROWS or cells > _MOST_CELLS:
                raise UserError(f"{path}: more than {_MOST_ROWS:,} rows or {_MOST_CELLS:,} cells; save it as CSV UTF-8")
            yield number, [_text(cell) for cell in row]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (UserError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # openpyxl checks little of what it reads
        raise UserError(
            f"{path}: not an Excel workbook (.xlsx) that can be read ({reason_of(error)}); save it again, or as CSV"
        ) from error


def _refuse_bomb(path: Path) -> None:
    with _reading(path), ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_BYTES:
        raise UserError(
            f"{path}: unpacks to {size / 1e6:,.0f} MB, more than {_MOST_BYTES / 1e6:,.0f} MB; save it as CSV UTF-8"
        )


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and set(str(cell.number_format)) == {"0"}:
        return str(value).zfill(len(cell.number_format))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return str(value)
