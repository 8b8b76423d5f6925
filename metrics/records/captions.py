"""The caption record, one JSON object a line: the interface between captioning and scoring.

Other people's formats are read too (`metrics.records.foreign`).
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import atomic_writer, json_lines, one_line
from metrics.records.foreign import foreign_records


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """One catalogue item and, in a captions file, the caption that a system wrote for it.

    Attributes:
        id: the item's id, unique in its file.
        caption: what the system wrote; None in a references file.
        product_id: the product of which this item is one variant.
        image: path of the photo, relative to the catalogue folder.
        photo_digest: a text that items with the same photo share, whatever its files are called.
        references: the captions it is scored against.
        category: the item's category.
        attributes: further attributes from the catalogue, name to value.
        split: `train`, `validation` or `test`.
        seen: whether a reference is verbatim among the training captions; None if unknown.
        logprob: mean log-probability of the caption's tokens, natural logarithm.
        tokens: number of tokens generated.
        finished: whether the caption ended with an end token rather than at the length limit.

    Raises:
        UserError: when a value has another type; a list of references becomes a tuple.
    """

    id: str
    caption: str | None = None
    product_id: str | None = None
    image: str | None = None
    photo_digest: str | None = None
    references: tuple[str, ...] = ()
    category: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    seen: bool | None = None
    logprob: float | None = None
    tokens: int | None = None
    finished: bool | None = None

    def __post_init__(self) -> None:
        if isinstance(self.references, list):
            object.__setattr__(self, "references", tuple(self.references))
        for name, (expected, holds, optional) in _TYPES.items():
            value = getattr(self, name)
            if not holds(value) and not (optional and value is None):
                raise UserError(f'"{name}" must be {expected}, found {_show(value)}')


_FIELDS = tuple(field.name for field in fields(CaptionRecord))
RECORDS_MARK = ('"references": ', '"logprob": ', '"finished": ')
"""Keys of every record that any version wrote, by which a file of ours is recognised (`metrics.common.ownership`)."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_text, value))


def _is_text_map(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value.values()))


# What each field must be, how that is checked, and whether it may be None.
_TYPES: dict[str, tuple[str, Callable[[object], bool], bool]] = {
    "id": ("a string", _is_text, False),
    "caption": ("a string", _is_text, True),
    "product_id": ("a string", _is_text, True),
    "image": ("a string", _is_text, True),
    "photo_digest": ("a string", _is_text, True),
    "references": ("a list of strings", _is_texts, False),
    "category": ("a string", _is_text, True),
    "attributes": ("an object of strings", _is_text_map, False),
    "split": ("a string", _is_text, True),
    "seen": ("true or false", _is_flag, True),
    "logprob": ("a finite number", _is_number, True),
    "tokens": ("a whole number", _is_count, True),
    "finished": ("true or false", _is_flag, True),
}


def read_records(path: str | Path) -> list[CaptionRecord]:
    """Read records, with or without captions: JSON Lines, a table or COCO's JSON; unknown keys are ignored.

    Raises:
        UserError: naming file and line, when the file is missing, empty or not UTF-8, when a line is not a JSON
            object, an id is missing, repeated, or neither a string nor a whole number, or a field has the wrong type.
    """
    return list(stream_records(path))


def stream_records(path: str | Path) -> Iterator[CaptionRecord]:
    """Yield what `read_records` returns, one record at a time; raises as it does, when it comes to the line."""
    path = Path(path)
    _, placed = _placed(path)
    places: dict[str, str] = {}
    for place, record in placed:
        if record.id in places:
            earlier = places[record.id].removeprefix(f"{path}:").strip()
            raise UserError(f"{place}: id {_show(record.id)} is already in line {earlier}; keep one of them")
        places[record.id] = place
        yield record


def read_references(path: str | Path) -> list[CaptionRecord]:
    """Read references: `read_records`, but in a table and in COCO's JSON several rows may be of one item.

    There a row without references of its own has its caption as one.

    Raises:
        UserError: as `read_records`.
    """
    is_foreign, placed = _placed(Path(path))
    if not is_foreign:
        return read_records(path)
    items: dict[str, CaptionRecord] = {}
    for _, record in placed:
        texts = record.references or ((record.caption,) if record.caption else ())
        known = items.setdefault(record.id, replace(record, caption=None, references=()))
        items[record.id] = replace(known, references=(*known.references, *texts))
    return list(items.values())


def _placed(path: Path) -> tuple[bool, Iterator[tuple[str, CaptionRecord]]]:
    """Whether a file is in another format than JSON Lines, and its records, each with its place."""
    if not path.exists():
        raise UserError(f"{path}: no such file; expected captions or references, one JSON object a line")
    foreign = foreign_records(path)
    rows = ((f"{path}:{number}", data) for number, data in json_lines(path)) if foreign is None else foreign
    return foreign is not None, _parsed(path, rows)


def _parsed(path: Path, rows: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, CaptionRecord]]:
    place = None
    for place, data in rows:
        yield place, _parse(data, place)
    if place is None:
        raise UserError(f"{path}: the file is empty; expected one JSON object a line")


def read_captions(path: str | Path) -> list[CaptionRecord]:
    """Read a captions file: `read_records`, and every record must have a caption (an empty one is one).

    Raises:
        UserError: as `read_records`, and when a record has no caption.
    """
    records = read_records(path)
    for record in records:
        if record.caption is None:
            raise UserError(f'{path}: id {_show(record.id)} has no "caption"; is this a references file?')
    return records


def to_json(record: CaptionRecord) -> str:
    """Return the record as one line of JSON, without the line break."""
    values = {name: getattr(record, name) for name in _FIELDS}
    return one_line(json.dumps(values, ensure_ascii=False, allow_nan=False))


def write_records(path: str | Path, records: Iterable[CaptionRecord]) -> None:
    """Write records as JSON Lines, atomically; raises `UserError` when the file cannot be written."""
    with atomic_writer(Path(path)) as handle:
        handle.writelines(f"{to_json(record)}\n" for record in records)


def _parse(data: object, where: str) -> CaptionRecord:
    if not isinstance(data, dict):
        raise UserError(f"{where}: expected a JSON object, found {_show(data)}")
    key = data.get("id")
    if isinstance(key, bool) or not isinstance(key, str | int):
        problem = f"found {_show(key)}" if "id" in data else "it is missing"
        name = "image_id" if "image_id" in data and data["image_id"] is key else "id"
        raise UserError(f'{where}: "{name}" must be a string or a whole number, {problem}; every item needs one')
    try:
        return CaptionRecord(**{name: data[name] for name in _FIELDS if data.get(name) is not None} | {"id": str(key)})
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _show(value: object) -> str:
    text = one_line(json.dumps(value, ensure_ascii=False, default=repr))
    return text if len(text) <= 60 else f"{text[:57]}..."
