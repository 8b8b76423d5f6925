"""FACAD's rows as texts: word ids looked up in the word map, padding and marks left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.catalogues.facad.files import Paths, open_photos
from finetune.data.catalogues.json_stream import json_list
from metrics.common.errors import UserError
from metrics.common.files import read_bytes
from metrics.common.json_text import parse_json

NOTHING = "nah"
PAD, MARKS = "<pad>", ("<unk>", "<start>", "<end>")


@dataclass(frozen=True)
class Words:
    """`by_id` maps every word id to its word, marks and padding to the empty string; `marks` describes the marks."""

    by_id: dict[int, str]
    unknown: int
    marks: str


@dataclass
class Rows:
    """A split's columns, a value a photo; `unknown` counts the marks of unknown words."""

    captions: list[str]
    categories: list[int]
    attributes: list[str]
    unknown: int


def read_words(path: Path) -> Words:
    """The word map; marks are known by their names, else they are the three highest ids."""
    try:
        ids = parse_json(read_bytes(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    if not isinstance(ids, dict) or not all(type(number) is int for number in ids.values()):
        raise UserError(f"{path}: expected an object of words and their ids")
    words = {number: word.lower() for word, number in ids.items()}
    if len(words) < len(ids) or len(words) < len(MARKS):
        raise UserError(f"{path}: {len(ids)} words have {len(words)} ids; every word needs its own")
    named = all(mark in ids for mark in MARKS)
    marks = [ids[mark] for mark in MARKS] if named else sorted(words)[-len(MARKS) :]
    words |= dict.fromkeys([0, ids.get(PAD, 0), *marks], "")
    described = ", ".join(f"{mark} is {number}" for mark, number in zip(MARKS, marks, strict=True))
    return Words(words, marks[0], described + ("" if named else " (the three highest ids: none has such a name)"))


def read_rows(files: Paths, words: Words) -> Rows:
    """A split's captions, category ids and attributes ("cotton, floral").

    Raises `UserError` with file and row where a file has another length than there are photos, a word id is not in the
    word map, or a value is of another kind than expected.
    """
    photos = files["IMAGES"]
    count = len(open_photos(photos))

    def rows(kind: str) -> Iterator[Any]:
        return _counted(files[kind], photos, count)

    lengths = list(rows("CAPLENS"))
    captions = _Captions(files["CAPTIONS"], words)
    texts = [captions.text(row, ids, lengths[row]) for row, ids in enumerate(rows("CAPTIONS"))]
    categories = [_category(value, files["CATES"], row) for row, value in enumerate(rows("CATES"))]
    return Rows(texts, categories, list(_attributes(rows("ATTRS"), files["ATTRS"], words)), captions.unknown)


def _counted(path: Path, photos: Path, count: int) -> Iterator[Any]:
    rows = 0
    for rows, value in enumerate(json_list(path), 1):
        if rows > count:
            break
        yield value
    if rows != count:
        found = f"more than {count:,}" if rows > count else f"{rows:,}"
        raise UserError(
            f"{path}: has {found} entries, but {photos.name} beside it has {count:,} photos, and each entry belongs to "
            "one photo: one of the two files is cut short or of another release; copy both again from the same one"
        )


class _Captions:
    """Word ids to texts. An item's photos follow one another with the same ids, which are looked up once."""

    def __init__(self, path: Path, words: Words) -> None:
        self._path, self._words = path, words
        self._last: object = object()
        self._text, self._unknown = "", 0
        self.unknown = 0

    def text(self, row: int, ids: Any, length: Any) -> str:
        """The words between the marks of a row. Raises `UserError` if length or ids do not fit."""
        if (ids, length) != self._last:
            if not isinstance(ids, list) or type(length) is not int or not 2 <= length <= len(ids):
                found = f"{len(ids)} word ids" if isinstance(ids, list) else repr(ids)
                raise UserError(f"{self._path}: row {row}: its length is said to be {length!r}, found {found}")
            inner = ids[1 : length - 1]
            self._last, self._unknown = (ids, length), inner.count(self._words.unknown)
            self._text = " ".join(_looked_up(inner, self._words, self._path, row))
        self.unknown += self._unknown
        return self._text


def _attributes(rows: Iterable[Any], path: Path, words: Words) -> Iterator[str]:
    last: object = object()
    text = ""
    for row, ids in enumerate(rows):
        if ids != last:
            if not isinstance(ids, list):
                raise UserError(f"{path}: row {row}: expected a list of word ids, found {ids!r}")
            last, text = ids, joined(_looked_up(ids, words, path, row))
        yield text


def joined(attributes: Iterable[str]) -> str:
    """Attribute words without the one that means none."""
    return ", ".join(word for word in dict.fromkeys(attributes) if word != NOTHING)


def _looked_up(ids: list[Any], words: Words, path: Path, row: int) -> list[str]:
    try:
        texts = [words.by_id[number] for number in ids]
    except (KeyError, TypeError) as error:
        wrong = next(number for number in ids if type(number) is not int or number not in words.by_id)
        raise UserError(f"{path}: row {row}: word id {wrong!r} is not in WORDMAP; are they of one release?") from error
    return [word for word in texts if word]


def _category(value: Any, path: Path, row: int) -> int:
    number = value[0] if isinstance(value, list) and len(value) == 1 else value
    if type(number) is not int:
        raise UserError(f"{path}: row {row}: expected a category id, found {value!r}")
    return number
