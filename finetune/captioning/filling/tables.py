"""A catalogue's table with new descriptions: CSV, JSON lines or Parquet, everything else as it was."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from finetune.captioning.filling.csv_cells import with_cells
from metrics.common.errors import UserError
from metrics.common.files import atomic_file

Texts = Mapping[int, str]


def write_filled_table(source: Path, target: Path, column: str, texts: Texts) -> None:
    """Write the table `source` to `target` with `texts` (number of a row to its description) in `column`.

    In CSV and JSON lines all other rows stay byte for byte, in Parquet all other values; a column that is missing is
    added as the last one. `target` appears whole or not at all. Raises `UserError` if it cannot be written.
    """
    writers = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    with atomic_file(target) as draft:
        try:
            writers[source.suffix.lower()](source, draft, column, texts)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error


def _write_csv(source: Path, target: Path, column: str, texts: Texts) -> None:
    with source.open(encoding="utf-8", newline="") as lines, target.open("w", encoding="utf-8", newline="") as file:
        file.writelines(with_cells(lines, column, texts))


def _write_jsonl(source: Path, target: Path, column: str, texts: Texts) -> None:
    with source.open(encoding="utf-8", newline="") as lines, target.open("w", encoding="utf-8", newline="") as file:
        file.writelines(_with_values(lines, column, texts))


def _with_values(lines: TextIO, column: str, texts: Texts) -> Iterator[str]:
    number = -1
    for line in lines:
        number += bool(line.strip())
        if line.strip() and number in texts:
            values = json.loads(line.removeprefix("\ufeff")) | {column: texts[number]}
            yield json.dumps(values, ensure_ascii=False) + line[len(line.rstrip("\r\n")) :]
        else:
            yield line


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
