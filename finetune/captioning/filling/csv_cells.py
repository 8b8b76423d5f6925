"""Cells of a CSV file changed in place: every other byte stays as it is."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import TextIO

from metrics.common.errors import UserError


def with_cells(
    source: TextIO, column: str, texts: Mapping[int, str], header: Sequence[str] | None = None
) -> Iterator[str]:
    """Yield the rows of `source` (opened with `newline=""`) as they are, but with `texts` in a column.

    Args:
        source: a table with a header, without a byte order mark; empty lines are no rows.
        column: the column's name. If the header lacks it, it is added as the last one.
        texts: number of a row (the first below the header is 0) to its new cell.
        header: the columns that the table had when `texts` were made for it; None: they are not compared.

    Raises:
        UserError: if the header is another one, or a row cannot be taken apart into the cells that `csv` reads.
    """
    rows = _rows(source)
    raw, names = next(rows, ("", []))
    if header is not None and names != list(header):
        raise UserError(
            f"the header is {', '.join(names)}; it was {', '.join(header)} when the table was read: start again"
        )
    added = column not in names
    place = len(names) if added else names.index(column)
    yield _replaced(raw, names, place, column) if added else raw
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
