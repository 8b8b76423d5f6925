"""Reading a catalogue's table: CSV, JSON lines or Parquet, every value a string."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from metrics.errors import UserError


def read_table(path: Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """The table at `path`, missing values as empty strings.

    Raises `UserError` where the file is missing, unreadable, truncated, empty or lacks a required column.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise UserError(f"{path}: unknown table format {path.suffix!r}; expected one of {', '.join(readers)}")
    try:
        table = readers[path.suffix](path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot read the table, is it complete? {error}") from None
    missing = [column for column in required if column not in table.columns]
    if missing:
        raise UserError(f"{path}: column(s) {', '.join(missing)} missing; found: {', '.join(map(str, table.columns))}")
    if table.empty:
        raise UserError(f"{path}: the table has no rows")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    short = table.isna().any(axis=1)
    if short.any():
        row = int(short.to_numpy().argmax())
        raise UserError(f"{path}: row {row + 2} has fewer values than the header: the file is truncated there")
    return table


def _read_jsonl(path: Path) -> pd.DataFrame:
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}:{number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: expected an object, found {type(row).__name__}")
            rows.append(row)
    return _as_text(pd.DataFrame(rows))


def _read_parquet(path: Path) -> pd.DataFrame:
    return _as_text(pd.read_parquet(path))


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda value: "" if value is None or value != value else str(value))  # noqa: PLR0124
