"""A catalogue's table with new descriptions, everything else as it was; a workbook becomes CSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from finetune.captioning.filling.csv_cells import with_cells
from finetune.captioning.filling.json_values import with_values
from metrics.common.errors import UserError
from metrics.common.files import atomic_file
from metrics.records.spreadsheets import read_sheet, text_form

Texts = Mapping[int, str]
_WORKBOOK = ".xlsx"


def filled_name(source: Path) -> str:
    """The name of a filled table: its own, but a workbook becomes a CSV file, which keeps no formats and charts."""
    return f"{source.stem}.csv" if source.suffix.lower() == _WORKBOOK else source.name


def write_filled_table(
    source: Path,
    target: Path,
    column: str,
    texts: Texts,
    header: Sequence[str] | None = None,
    encoding: str | None = None,
) -> None:
    """Write the table `source` to `target` with `texts` (number of a row to its description) in `column`.

    In CSV, TSV and JSON lines all other values stay byte for byte, in Parquet by value; a column that is missing is
    added as the last one. `target` appears whole or not at all. `encoding` is that of a text without a byte order mark
    (None: UTF-8).

    Raises `UserError` if it cannot be written, or if the columns of a CSV or TSV table are no longer those of `header`
    (None: any).
    """
    kind = source.suffix.lower()
    with atomic_file(target) as draft:
        try:
            if kind == ".parquet":
                _write_parquet(source, draft, column, texts)
            elif kind == _WORKBOOK:
                _write_workbook(source, draft, column, texts)
            else:
                _write_text(source, draft, column, texts, header, encoding)
        except UserError as error:
            raise UserError(f"{source}: {error}") from error
        except UnicodeEncodeError as error:
            wrong = error.object[error.start]
            raise UserError(
                f"{source}: a new description has {wrong!r}, which {encoding} cannot write; save the table as UTF-8"
            ) from error


def _write_text(
    source: Path, target: Path, column: str, texts: Texts, header: Sequence[str] | None, encoding: str | None
) -> None:
    form = text_form(source, encoding=encoding)
    with _both(source, target, form.encoding) as (lines, file):
        if source.suffix.lower() == ".jsonl":
            file.writelines(with_values(lines, column, texts))
            return
        if form.declares:
            file.write(lines.readline())
        file.writelines(with_cells(lines, column, texts, header, form.separator))


@contextmanager
def _both(source: Path, target: Path, encoding: str) -> Iterator[tuple[TextIO, TextIO]]:
    """Open a text to read and its copy to write, line ends as they are; a byte order mark is no part of the text."""
    with (
        source.open(encoding=encoding, newline="") as lines,
        target.open("w", encoding=encoding, newline="") as file,
    ):
        yield lines, file


def _write_workbook(source: Path, target: Path, column: str, texts: Texts) -> None:
    sheet = read_sheet(source)
    place = sheet.columns.index(column) if column in sheet.columns else len(sheet.columns)
    with target.open("w", encoding="utf-8-sig", newline="") as file:  # Excel knows UTF-8 by its mark
        writer = csv.writer(file)
        writer.writerow([*sheet.columns[:place], column, *sheet.columns[place + 1 :]])
        for number, row in enumerate(sheet.rows):
            before = row[place] if place < len(row) else ""
            writer.writerow([*row[:place], texts.get(number, before), *row[place + 1 :]])


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
