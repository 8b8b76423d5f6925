"""Reading a catalogue's table: CSV, TSV, XLSX, JSON lines or Parquet, every value a string."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metrics.common.errors import UserError, first_line
from metrics.common.files import refuse_special
from metrics.common.json_text import parse_json
from metrics.records.spreadsheets import KINDS, UTF_8, read_sheet

SUFFIXES = (".csv", ".jsonl", ".parquet", ".tsv", ".xlsx")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON escapes it, in a pair or alone
_NOTES = "notes"


def read_table(path: Path, required: Sequence[str] = (), lists: Sequence[str] = ()) -> pd.DataFrame:
    """The table at `path`, missing values as empty strings, numbers as they are written, lists as "cotton, floral".

    Raises `UserError` as `read_values` and `checked`.
    """
    return checked(read_values(path), path, required, lists)


def checked(table: pd.DataFrame, path: Path, required: Sequence[str], lists: Sequence[str] = ()) -> pd.DataFrame:
    """The values of the table that was read from `path` as texts.

    Raises `UserError` if it is empty or lacks a required column, or if one of those holds objects, or lists without
    being among the columns that may hold `lists`.
    """
    if table.columns.empty:
        names = f" with the column(s) {', '.join(required)}" if required else ""
        raise UserError(f"{path}: the file is empty; expected a table{names}")
    missing = [column for column in required if column not in table.columns]
    if missing:
        raise UserError(f"{path}: column(s) {', '.join(missing)} missing; found: {', '.join(table.columns)}")
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    refuse_nested(table, required, lists, path)
    return as_text(table)


def read_values(path: Path, kind: str | None = None, encoding: str | None = None, remedy: str = UTF_8) -> pd.DataFrame:
    """The table at `path` as it is, numbers of CSV and fractions of JSON lines as texts; see also `notes_of`.

    `kind` is its suffix, `encoding` that of a text without a byte order mark (default: UTF-8), `remedy` ends the
    message about a text in another one. Raises `UserError` if the file is missing, unreadable or truncated.
    """
    kind = path.suffix.lower() if kind is None else kind
    if kind not in SUFFIXES:
        raise UserError(f"{path}: unknown table format {kind!r}; expected one of {', '.join(SUFFIXES)}")
    refuse_special(path)
    if kind in KINDS:
        sheet = read_sheet(path, kind, encoding, remedy)
        table = pd.DataFrame(sheet.rows, columns=sheet.columns, dtype=str)
        if sheet.notes:
            table.attrs[_NOTES] = sheet.notes
        return table
    try:
        return _read_parquet(path) if kind == ".parquet" else _read_jsonl(path, encoding or "utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); {remedy}") from error
    except (ValueError, OSError, LookupError, TypeError, AttributeError, RecursionError) as error:  # of pandas
        raise UserError(f"{path}: cannot read the table, is it complete? {first_line(error)}") from error


def notes_of(table: pd.DataFrame, *further: str) -> dict[str, list[str]]:
    """What `read_values` ignored of a table, and what else is to be said of it, under a title."""
    notes = [*table.attrs.get(_NOTES, ()), *further]
    return {"the table": notes} if notes else {}


def _read_jsonl(path: Path, encoding: str) -> pd.DataFrame:
    rows = []
    with path.open(encoding=encoding) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line, parse_float=str)
            except ValueError as error:
                raise UserError(f"{path}:{number}: not JSON: {error}; is the file truncated there?") from error
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: expected an object, found {type(row).__name__}")
            if _SURROGATE.search(line):
                _refuse_surrogates(row, f"{path}:{number}")
            rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _refuse_surrogates(row: dict[str, Any], where: str) -> None:
    """JSON can have half of a pair of surrogates; Arrow, whose texts are UTF-8, cannot."""
    for key, value in row.items():
        try:
            json.dumps([key, value], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{where}: {key!r}: expected Unicode text, found half of a character "
                f"({error.object[error.start]!r}, a lone surrogate); write the whole character, or remove it"
            ) from error


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path, dtype_backend="pyarrow")
    return (table.reset_index() if table.index.name else table).astype(object)


def refuse_nested(table: pd.DataFrame, columns: Sequence[str], lists: Sequence[str], source: Path | str) -> None:
    """Raise `UserError` if one of the `columns` holds objects, or lists without being one of `lists`."""
    for column in columns:
        expected = "one text or a list of texts" if column in lists else "one text"
        for row, value in enumerate(table.get(column, ())):
            values = value if column in lists and _is_list(value) else [value]
            if not all(map(pd.api.types.is_scalar, values)):
                raise UserError(
                    f"{source}: row {row + 1}: {column} is a {type(value).__name__}, expected {expected}; "
                    "name another column in data.columns, or leave this one out"
                )


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Every value as a string, missing ones (None, NaN) as the empty string, lists as "cotton, floral"."""
    texts = table.map(_text)
    texts.attrs = table.attrs
    return texts


def _text(value: Any) -> str:
    if _is_list(value):
        return ", ".join(filter(None, map(_text, value)))
    return "" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)
