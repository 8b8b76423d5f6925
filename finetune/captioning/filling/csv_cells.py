"""Cells of a CSV file changed in place: every other byte stays as it is."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import TextIO

from metrics.common.errors import UserError
from metrics.records.spreadsheets import is_empty


def with_cells(
    source: TextIO, column: str, texts: Mapping[int, str], header: Sequence[str] | None = None, separator: str = ","
) -> Iterator[str]:
    """Yield the rows of `source` (opened with `newline=""`) as they are, but with `texts` in a column.

    Args:
        source: a table that begins with its header, without a byte order mark; rows without text are no rows.
        column: the column's name. If the header lacks it, it is added as the last one.
        texts: number of a row (the first below the header is 0) to its new cell.
        header: the columns that the table had when `texts` were made for it; None: they are not compared.
        separator: what separates cells.

    Raises:
        UserError: if the header is another one, or a row cannot be taken apart into the cells that `csv` reads.
    """
    rows = _rows(source, separator)
    raw, names = next(rows, ("", []))
    while names and is_empty(names):
        yield raw
        raw, names = next(rows, ("", []))
    named = [name for name in names if name.strip()]
    if header is not None and named != list(header):
        raise UserError(
            f"the header is {', '.join(named)}; it was {', '.join(header)} when the table was read: start again"
        )
    added = column not in names
    place = len(names) if added else names.index(column)
    yield _replaced(raw, names, place, column, separator) if added else raw
    number = -1
    for raw, row in rows:
        number += not is_empty(row)
        if row and (added or (number in texts and not is_empty(row))):
            text = "" if is_empty(row) else texts.get(number, "")
            yield _replaced(raw, row, place, text, separator)
        else:
            yield raw


def _rows(source: TextIO, separator: str) -> Iterator[tuple[str, list[str]]]:
    """Each row as it is written and as `csv` reads it."""
    lines: list[str] = []

    def read() -> Iterator[str]:
        for line in source:
            lines.append(line)
            yield line

    csv.field_size_limit(sys.maxsize)
    try:
        for row in csv.reader(read(), delimiter=separator, strict=True):
            yield "".join(lines), row
            lines.clear()
    except csv.Error as error:
        raise UserError(f"row {''.join(lines)[:60]!r}: {error}; quote its values as CSV asks") from error


def _replaced(raw: str, row: list[str], place: int, text: str, separator: str) -> str:
    """The row with another cell at `place`, or one more at its end; in quotes if it was or must be."""
    end = raw[len(raw.rstrip("\r\n")) :]
    cells = _cells(raw.removesuffix(end), separator)
    if [_value(cell, separator) for cell in cells] != row:
        raise UserError(f"row {raw[:60]!r}: cannot be taken apart at its separators; quote its values as CSV asks")
    quoted = place < len(cells) and cells[place].startswith('"')
    alone = place == 0 and len(cells) == 1  # without quotes, an empty one would be no row
    cells[place : place + 1] = [_cell(text, quoted or alone, separator)]
    return separator.join(cells) + end


def _cells(raw: str, separator: str) -> list[str]:
    cells, start, inside = [], 0, False
    for place, character in enumerate(raw):
        if character == '"' and raw[start] == '"':
            inside = not inside
        elif character == separator and not inside:
            cells.append(raw[start:place])
            start = place + 1
    return [*cells, raw[start:]]


def _value(cell: str, separator: str) -> str:
    return next(csv.reader(StringIO(cell, newline=""), delimiter=separator, strict=True), [""])[0]


def _cell(text: str, quoted: bool, separator: str) -> str:
    if quoted or any(character in text for character in (separator, *'"\r\n')):
        return '"' + text.replace('"', '""') + '"'
    return text
