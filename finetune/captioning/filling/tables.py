"""A catalogue's table with new descriptions: CSV, JSON lines or Parquet, everything else as it was."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from finetune.captioning.filling.csv_cells import with_cells
from finetune.captioning.filling.json_values import with_values
from metrics.common.errors import UserError
from metrics.common.files import atomic_file

Texts = Mapping[int, str]


def write_filled_table(
    source: Path, target: Path, column: str, texts: Texts, header: Sequence[str] | None = None
) -> None:
    """Write the table `source` to `target` with `texts` (number of a row to its description) in `column`.

    In CSV and JSON lines all other values stay byte for byte, in Parquet by value; a column that is missing is added as
    the last one. `target` appears whole or not at all. Raises `UserError` if it cannot be written, or if the columns
    of a CSV table are no longer those of `header` (None: any).
    """
    writers: dict[str, Callable[[Path, Path, str, Texts], None]] = {
        ".csv": partial(_write_csv, header=header),
        ".jsonl": _write_jsonl,
        ".parquet": _write_parquet,
    }
    with atomic_file(target) as draft:
        try:
            writers[source.suffix.lower()](source, draft, column, texts)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error


def _write_csv(source: Path, target: Path, column: str, texts: Texts, header: Sequence[str] | None) -> None:
    with _both(source, target) as (lines, file):
        file.writelines(with_cells(lines, column, texts, header))


def _write_jsonl(source: Path, target: Path, column: str, texts: Texts) -> None:
    with _both(source, target) as (lines, file):
        file.writelines(with_values(lines, column, texts))


@contextmanager
def _both(source: Path, target: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Open a text to read and its copy to write, line ends as they are; a byte order mark is no part of the text."""
    with source.open("rb") as start:
        encoding = "utf-8-sig" if start.read(len(BOM_UTF8)) == BOM_UTF8 else "utf-8"
    with (
        source.open(encoding=encoding, newline="") as lines,
        target.open("w", encoding=encoding, newline="") as file,
    ):
        yield lines, file


def _write_parquet(source: Path, target: Path, column: str, texts: Texts) -> None:
    table = pq.read_table(source)
    place = table.schema.get_field_index(column)
    values = table.column(place).to_pylist() if place >= 0 else [None] * len(table)
    for number, text in texts.items():
        values[number] = text
    kind = table.schema.field(place).type if place >= 0 else pa.string()
    new = pa.array(values, kind if pa.types.is_string(kind) or pa.types.is_large_string(kind) else pa.string())
    table = table.set_column(place, column, new) if place >= 0 else table.append_column(column, new)
    pq.write_table(table, target)
