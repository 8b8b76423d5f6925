"""Parquet and NumPy files that anybody may have made, changed or damaged: read, or refused by a `UserError`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from metrics.common.errors import UserError

TEXT, NUMBER, FLAG = "texts", "numbers", "true or false"
"""What a column may be asked to have."""
_HAS: Mapping[str, Callable[[pa.DataType], bool]] = {
    TEXT: lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind),
    NUMBER: lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    FLAG: pa.types.is_boolean,
}


def parquet_columns(path: Path, remedy: str) -> list[str]:
    """The names of a file's columns; raises `UserError` as `read_parquet`."""
    names: list[str] = _file(path, remedy, lambda file: list(file.schema_arrow.names))
    if len(set(names)) < len(names):
        raise UserError(f"{path}: two columns have the same name; {remedy}")
    return names


def read_parquet(path: Path, remedy: str, columns: Mapping[str, str] | None = None) -> pa.Table:
    """The `columns` of a file, name to what it has: `TEXT`, `NUMBER` or `FLAG`; without them all, which are texts.

    Texts may be missing, numbers and flags may not. Raises `UserError`, which `remedy` ends, if the file is missing or
    damaged, or a column is missing or has something else.
    """
    known = parquet_columns(path, remedy)
    wanted = dict.fromkeys(known, TEXT) if columns is None else columns
    lacking = [name for name in wanted if name not in known]
    if lacking:
        raise UserError(f"{path}: column(s) {', '.join(lacking)} missing; {remedy}")
    table = _file(path, remedy, lambda file: _checked(file.read(list(wanted))))
    for name, expected in wanted.items():
        column = table.column(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not _HAS[expected](kind) or (expected != TEXT and column.null_count):
            found = "missing ones" if _HAS[expected](kind) else str(kind)
            raise UserError(f"{path}: column {name}: expected {expected}, found {found:.60}; {remedy}")
    return table


def read_arrays(path: Path, remedy: str) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name. Raises `UserError`, which `remedy` ends, if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:  # of NumPy, its parser of headers, zipfile and zlib
        raise UserError(f"{path}: expected arrays of NumPy, found damage ({_reason(error)}); {remedy}") from error


def _file(path: Path, remedy: str, read: Callable[[pq.ParquetFile], Any]) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {remedy}")
    try:
        with pq.ParquetFile(path) as file:
            return read(file)
    except (pa.ArrowException, ValueError, OSError, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: cannot read the table ({_reason(error)}); {remedy}") from error


def _checked(table: pa.Table) -> pa.Table:
    """The same, if its texts are UTF-8 and its lengths fit, without what pandas has noted in it."""
    table.validate(full=True)
    return table.replace_schema_metadata(None)


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
