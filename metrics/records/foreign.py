"""Captions and references in other people's formats: COCO's results and annotations, CSV, TSV, XLSX and Parquet."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError, first_line
from metrics.common.files import json_lines, read_bytes, refuse_special
from metrics.common.json_text import parse_json
from metrics.common.screen import say
from metrics.records import column_names
from metrics.records.spreadsheets import KINDS, read_sheet, unguarded

Placed = tuple[str, Any]  # where a record stands, and its values as in captions.jsonl
_PARQUET = ".parquet"
_TEXTS = ("product_id", "image", "photo_digest", "category", "split")
_FLAGS = {"true": True, "false": False}
_NUMBERED = re.compile(r"[ _-]*\d+$")  # reference_1, reference 2


def foreign_records(path: Path) -> Iterator[Placed] | None:
    """The records of a file that is in another format than our JSON Lines; None if it is in ours.

    Tables are known by their suffix, COCO's JSON by its beginning: `[` for results, also an entry a line, one object
    with `annotations`.
    Which columns of a table were taken is said on stderr, unless they have the names of `captions.jsonl`.

    Raises:
        UserError: naming the file, when it is a pipe, cannot be read or lacks what is needed.
    """
    refuse_special(path)
    suffix = path.suffix.lower()
    if suffix in KINDS or suffix == _PARQUET:
        return _table(path, suffix)
    content = _json(path, suffix)
    if isinstance(content, list):
        return ((f"{path}: [{place}]", _result(one)) for place, one in enumerate(content))
    if isinstance(content, dict) and "annotations" in content:
        return _annotations(path, content)
    _, first = next(json_lines(path), (0, None))
    if isinstance(first, dict) and "image_id" in first and "id" not in first:
        return ((f"{path}:{number}", _result(one)) for number, one in json_lines(path))
    return None


def _json(path: Path, suffix: str) -> Any:
    """The file as one JSON value if it can be one: a list, or an object in a file called .json."""
    try:
        with path.open("rb") as file:
            line, _, _ = file.read(1 << 12).removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
        start = line[:1]
        if line.strip() == b"{" and suffix != ".json":
            raise UserError(f"{path}: one object over several lines; if these are COCO annotations, call it .json")
        if start != b"[" and not (start == b"{" and suffix == ".json"):
            return None
        return parse_json(read_bytes(path))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        if start == b"{" and "Extra data" in str(error):  # JSON Lines
            return None
        raise UserError(f"{path}: not JSON ({error}); expected COCO results, COCO annotations or JSON Lines") from error


def _result(one: Any) -> Any:
    """An entry of COCO's results: `image_id` and `caption`; ours have `id`."""
    return {**one, "id": one["image_id"]} if isinstance(one, dict) and "image_id" in one else one


def _annotations(path: Path, content: Mapping[str, Any]) -> Iterator[Placed]:
    """A record for each image of COCO's annotations, with all of its captions as references."""
    images = {one["id"]: one.get("file_name") for one in _objects(path, content, "images", ("id",))}
    references: dict[Any, list[Any]] = {key: [] for key in images}
    for one in _objects(path, content, "annotations", ("image_id", "caption")):
        references.setdefault(one["image_id"], []).append(one["caption"])
    for key, texts in references.items():
        yield f"{path}: image {key!r:.60}", {"id": key, "image": images.get(key), "references": texts}


def _objects(path: Path, content: Mapping[str, Any], name: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    values = content.get(name) or []
    if not isinstance(values, list):
        raise UserError(f"{path}: {name}: expected a list, found {type(values).__name__}")
    for place, one in enumerate(values):
        if not isinstance(one, dict) or any(not isinstance(one.get(key), str | int) for key in keys):
            raise UserError(f"{path}: {name}[{place}]: expected an object with {' and '.join(keys)}, found {one!r:.60}")
        yield one


def _table(path: Path, suffix: str) -> Iterator[Placed]:
    columns, rows = _parquet(path) if suffix == _PARQUET else _sheet(path)
    identity, caption = (_found(columns, names) for names in (column_names.IDS, column_names.CAPTIONS))
    references = _reference_columns(columns)
    if not identity or not (caption or references):
        raise UserError(
            f"{path}: expected a column of ids ({', '.join(column_names.IDS[:5])}) and one of captions "
            f"({', '.join(column_names.CAPTIONS[:3])}) or references; found {', '.join(columns)}; rename two of them"
        )
    _say(path, identity, caption, references)
    for where, row in rows:
        texts = [text for name in references for text in _references(row[name])]
        yield (
            where,
            _own_columns(row, where)
            | {
                "id": _whole(row[identity[0]]),
                "caption": row[caption[0]] if caption else None,
                "references": texts,
            },
        )


def _found(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    return column_names.usual_columns(columns, names)


def _reference_columns(columns: Sequence[str]) -> list[str]:
    """All columns of references: `references`, or `reference_1`, `reference_2` and so on."""
    return [name for name in columns if _found([_NUMBERED.sub("", name)], column_names.REFERENCES)]


def _say(path: Path, identity: list[str], caption: list[str], references: list[str]) -> None:
    taken = {"id": identity[:1], "caption": caption[:1], "references": references}
    if all(names in ([], [role]) for role, names in taken.items()):
        return
    said = "; ".join(f"{role} from {', '.join(names)}" for role, names in taken.items() if names)
    say(f"{path}: {said}{column_names.others_named(caption)}", file=sys.stderr)


def _sheet(path: Path) -> tuple[list[str], Iterator[tuple[str, dict[str, Any]]]]:
    sheet = read_sheet(path)
    for note in sheet.notes:
        say(f"{path}: {note}", file=sys.stderr)
    cells = ([unguarded(text) for text in row] for row in sheet.rows)
    places = zip(sheet.lines, cells, strict=True)
    return sheet.columns, ((f"{path}:{line}", dict(zip(sheet.columns, row, strict=True))) for line, row in places)


def _parquet(path: Path) -> tuple[list[str], Iterator[tuple[str, dict[str, Any]]]]:
    try:
        import pyarrow as pa  # noqa: PLC0415  # comes with the extras `view` and `train`
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise UserError(f"{path}: a Parquet file; run: pip install pyarrow") from error
    try:
        table = pq.read_table(path)
        rows: Iterable[dict[str, Any]] = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: cannot read the table, is it complete? {first_line(error)}") from error
    return table.column_names, ((f"{path}: row {number}", row) for number, row in enumerate(rows, 1))


def _whole(value: Any) -> Any:
    """Whole numbers that a table keeps as fractions, since a row has none, are whole again."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _references(value: Any) -> list[Any]:
    """The references of a cell: a list, a list written as JSON, or one text; an empty cell has none."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = parse_json(value)
        except ValueError:
            return [value]
    if isinstance(value, list):
        return value
    return [value] if value not in (None, "") else []


def _own_columns(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The further fields of a record that a table has under their own names, as `caption --format csv` writes them."""
    values: dict[str, Any] = {name: str(_whole(row[name])) for name in _TEXTS if row.get(name) not in (None, "")}
    readers: dict[str, Callable[[Any], object]] = {"seen": _flag, "finished": _flag, "logprob": float, "tokens": _count}
    for name, read in readers.items():
        value = row.get(name)
        if value not in (None, "") and str(value) != "nan":
            try:
                values[name] = read(value)
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise UserError(f"{where}: {name}: found {value!r:.60}; correct it or rename the column") from error
    attributes = row.get("attributes")
    return values | ({"attributes": _attributes(attributes)} if attributes else {})


def _flag(value: Any) -> bool:
    return _FLAGS[str(value).lower()]


def _count(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _attributes(value: Any) -> Any:
    """The object that a cell has as JSON; any other text is an attribute without a name of its own."""
    if not isinstance(value, str):
        return value
    try:
        found = parse_json(value)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"attributes": value}
