"""Cells of a CSV file changed in place: every other byte stays as it is."""

import csv
import sys
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import TextIO

from metrics.common.errors import UserError

BOM = "\ufeff"


def with_cells(source: TextIO, column: str, texts: Mapping[int, str]) -> Iterator[str]:
    """Yield the rows of `source` (opened with `newline=""`) as they are, but with `texts` in a column.

    Args:
        source: a table with a header; empty lines are no rows.
        column: the column's name. If the header lacks it, it is added as the last one.
        texts: number of a row (the first below the header is 0) to its new cell.

    Raises:
        UserError: if a row cannot be taken apart into the cells that `csv` reads.
    """
    rows = _rows(source)
    raw, header = next(rows)
    names = [name.removeprefix(BOM) for name in header]
    added = column not in names
    place = len(names) if added else names.index(column)
    yield _replaced(raw, header, place, column) if added else raw
    number = -1
    for raw, row in rows:
        number += bool(row)
        if row and (added or number in texts):
            yield _replaced(raw, row, place, texts.get(number, ""))
        else:
            yield raw


def _rows(source: TextIO) -> Iterator[tuple[str, list[str]]]:
    """Each row as it is written and as `csv` reads it."""
    lines: list[str] = []

    def read() -> Iterator[str]:
        for line in source:
            lines.append(line)
            yield line

    csv.field_size_limit(sys.maxsize)
    for row in csv.reader(read(), strict=True):
        yield "".join(lines), row
        lines.clear()


def _replaced(raw: str, row: list[str], place: int, text: str) -> str:
    """The row with another cell at `place`, or one more at its end; in quotes if it was or must be."""
    end = raw[len(raw.rstrip("\r\n")) :]
    cells = _cells(raw.removesuffix(end))
    if [_value(cell) for cell in cells] != row:
        raise UserError(f"row {raw[:60]!r}: cannot be taken apart at its commas; quote its values as CSV asks")
    quoted = place < len(cells) and cells[place].startswith('"')
    alone = place == 0 and len(cells) == 1  # without quotes, an empty one would be no row
    cells[place : place + 1] = [_cell(text, quoted or alone)]
    return ",".join(cells) + end


def _cells(raw: str) -> list[str]:
    cells, start, inside = [], 0, False
    for place, character in enumerate(raw):
        if character == '"' and raw[start] == '"':
            inside = not inside
        elif character == "," and not inside:
            cells.append(raw[start:place])
            start = place + 1
    return [*cells, raw[start:]]


def _value(cell: str) -> str:
    return next(csv.reader(StringIO(cell, newline=""), strict=True), [""])[0]


def _cell(text: str, quoted: bool) -> str:
    if quoted or any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
