"""Tables as spreadsheets write them: CSV with any separator, TSV, XLSX; texts that they must not take for formulas."""

import codecs
import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import refuse_special
from metrics.records.workbooks import workbook_rows

KINDS = (".csv", ".tsv", ".xlsx")
UTF_8 = "save it as UTF-8"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SEPARATORS = (",", ";", "\t")
_DECLARED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's own way to name the separator
_LONGEST_START = 1 << 20  # characters
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')

Rows = Iterable[tuple[int, list[str]]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of texts.

    Attributes:
        columns: their names, each once.
        rows: a text for each column.
        lines: where each row ends: its line of a text, its row of a workbook, from 1.
        notes: what was ignored, a sentence each.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a table is written as text; `declares` is whether a line `sep=;` comes before the header."""

    encoding: str
    separator: str
    declares: bool


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would take a text for a formula. Source: OWASP, CSV Injection."""
    return text.startswith(_FORMULA)


def guarded(text: str) -> str:
    """The text with an apostrophe in front if it is a formula or begins with one; `unguarded` gives it back."""
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given; text that it would not have written stays as it is."""
    return text[1:] if text.startswith("'") and text[1:].startswith((*_FORMULA, "'")) else text


def read_sheet(path: Path, kind: str | None = None, encoding: str | None = None, remedy: str = UTF_8) -> Sheet:
    """Read a CSV, TSV or XLSX file; empty rows and columns are ignored and counted.

    Args:
        path: the file.
        kind: one of `KINDS`; None: its suffix.
        encoding: of a text without a byte order mark; None: UTF-8.
        remedy: what to do about a text in another encoding; it ends the message.

    Raises:
        UserError: naming file and row, if it is missing, a pipe, unreadable or truncated, a row has more or fewer
            values than the header names, a column has no name, or two have the same.
    """
    refuse_special(path)
    kind = path.suffix.lower() if kind is None else kind
    try:
        if kind == ".xlsx":
            rows, notes = workbook_rows(path)
            return _sheet(path, rows, notes, ragged=True)
        return _sheet(path, _text_rows(path, kind, encoding), [], ragged=False)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        name = "UTF-8" if error.encoding in ("utf-8", "utf-8-sig") else error.encoding
        raise UserError(f"{path}: not {name} text ({error.reason} at byte {error.start}); {remedy}") from error
    except (UnicodeError, OSError) as error:
        raise UserError(f"{path}: cannot read the table, is it complete? {error}") from error


def text_form(path: Path, kind: str | None = None, encoding: str | None = None) -> TextForm:
    """How a table is written: a byte order mark names its encoding, its first rows tell the separator.

    Raises `OSError`, or `UnicodeError` if it is in another encoding.
    """
    with path.open("rb") as file:
        first = file.read(3)
    found = next((name for mark, name in _BOMS.items() if first.startswith(mark)), encoding or "utf-8")
    with path.open(encoding=found, newline="") as text:
        start = text.read(_LONGEST_START)
    declared = _DECLARED.fullmatch(io.StringIO(start, newline="").readline())
    usual = "\t" if (path.suffix.lower() if kind is None else kind) == ".tsv" else ","
    return TextForm(found, declared[1] if declared else _separator(start, usual), declared is not None)


def is_empty(row: list[str]) -> bool:
    """Whether no cell of a row has text."""
    return not any(map(str.strip, row))


def _separator(start: str, usual: str) -> str:
    """The one that stands most often in the first line, outside of quotes; `usual` if none stands more often.

    One that splits the first two rows into as many cells goes before others.
    """
    bare = re.sub(r'"[^"]*"?', "", io.StringIO(start, newline="").readline())
    ranked = sorted((usual, *_SEPARATORS), key=bare.count, reverse=True)
    return next((one for one in ranked if one in bare and _splits_equally(start, one)), ranked[0])


def _splits_equally(start: str, separator: str) -> bool:
    csv.field_size_limit(sys.maxsize)
    with suppress(csv.Error):
        header, *rows = islice(csv.reader(io.StringIO(start, newline=""), delimiter=separator), 2)
        return [len(row) for row in rows] == [len(header)]
    return False


def _text_rows(path: Path, kind: str, encoding: str | None) -> Iterator[tuple[int, list[str]]]:
    form = text_form(path, kind, encoding)
    csv.field_size_limit(sys.maxsize)
    bare = form.separator == "\t" and _has_bare_quotes(path, form)
    with path.open(encoding=form.encoding, newline="") as file:
        before = int(form.declares)
        for _ in range(before):
            file.readline()
        form_of_cells: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if bare else {}
        reader = csv.reader(file, delimiter=form.separator, strict=True, **form_of_cells)
        try:
            for row in reader:
                yield before + reader.line_num, [_unquoted(cell) for cell in row] if bare else row
        except csv.Error as error:
            raise UserError(
                f"{path}: line {before + reader.line_num}: {error}; is the file truncated, or a quote never closed?"
            ) from error


def _has_bare_quotes(path: Path, form: TextForm) -> bool:
    """Whether a cell begins with quotes but does not end with them, as in `"Bold" red dress`; not if none closes it."""
    with path.open(encoding=form.encoding, newline="") as file:
        try:
            for _ in csv.reader(file, delimiter=form.separator, strict=True):
                pass
        except csv.Error as error:
            return "expected after" in str(error)
    return False


def _unquoted(cell: str) -> str:
    quoted = _QUOTED.fullmatch(cell)
    return quoted[1].replace('""', '"') if quoted else cell


def _sheet(path: Path, rows: Rows, notes: list[str], *, ragged: bool) -> Sheet:
    """The first row that is not empty is the header. Rows of a `ragged` table may be of any length."""
    header: list[str] = []
    kept: list[list[str]] = []
    lines: list[int] = []
    empty = 0
    for line, row in rows:
        if is_empty(row):
            empty += bool(row)
        elif not header:
            header = row
        else:
            if not ragged:
                _require_complete(row, header, f"{path}: line {line}")
            kept.append(row)
            lines.append(line)
    if ragged:
        width = max(map(len, [header, *kept]))
        header, kept = _padded(header, width), [_padded(row, width) for row in kept]
    named = _named_columns(path, header, kept)
    notes += _ignored(empty, len(header) - len(named))
    if len(named) < len(header):
        kept = [[row[place] for place in named] for row in kept]
    return Sheet([header[place] for place in named], kept, lines, notes)


def _require_complete(row: list[str], header: list[str], where: str) -> None:
    if len(row) != len(header):
        raise UserError(
            f"{where}: {len(row)} values where the header names {len(header)}; is the file truncated there, or a value "
            "with a comma not quoted?"
        )


def _padded(row: list[str], width: int) -> list[str]:
    return row + [""] * (width - len(row))


def _named_columns(path: Path, header: list[str], rows: list[list[str]]) -> list[int]:
    """The places of the columns with a name; those without one must be empty."""
    named = [place for place, name in enumerate(header) if name.strip()]
    for place in sorted(set(range(len(header))) - set(named)):
        if any(row[place].strip() for row in rows):
            raise UserError(f"{path}: column {place + 1} has values, but no name in the header; name it or empty it")
    names = [header[place] for place in named]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"{path}: column(s) {', '.join(repeated)} appear twice in the header; name each column once")
    return named


def _ignored(rows: int, columns: int) -> list[str]:
    counts = {"empty row(s)": rows, "empty column(s) without a name": columns}
    return [f"{count:,} {what} ignored" for what, count in counts.items() if count]
