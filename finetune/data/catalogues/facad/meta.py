"""FACAD's meta file: what the shop said of each item, and where its large photos lay."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.catalogues.facad.rows import joined
from finetune.data.catalogues.json_stream import json_list
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer
from metrics.records.spreadsheets import guarded

URL_COLUMNS = ("id", "title", "colour", "position", "url")
_KINDS = {"description": str, "detail_info": str, "attr": list, "category": str, "categoryid": int, "images": list}
_LARGE = re.compile(r".*?\.jpe?g", re.IGNORECASE)
_POSITION = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class MetaItem:
    """What the preparation needs of an item; `attributes` as "cotton, floral"."""

    description: str
    attributes: str
    category: str
    category_id: int


def read_items(path: Path) -> list[MetaItem]:
    """The items of the meta file. Raises `UserError` with file, item and key if one lacks what is needed."""
    items = []
    for place, item in enumerate(json_list(path)):
        attributes, category, number = (_value(item, key, path, place) for key in ("attr", "category", "categoryid"))
        items.append(MetaItem(_described(item, path, place), joined(map(str, attributes)), category, number))
    return items


def _described(item: dict[str, Any], path: Path, place: int) -> str:
    """The description, else the details that, according to FACAD's README, hold it if it is gone."""
    key = next((key for key in ("description", "detail_info") if item.get(key) is not None), None)
    return str(_value(item, key, path, place)) if key else ""


def write_image_urls(meta: Path, out: Path) -> int:
    """Write the URLs of all large photos as CSV (`URL_COLUMNS`), a photo a line; how many there are.

    A URL ends after `.jpeg`: what follows asks the shop for a smaller photo. Nothing is fetched.
    """
    count = 0
    with atomic_writer(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(URL_COLUMNS)
        for count, row in enumerate(_url_rows(meta), 1):  # noqa: B007
            writer.writerow(row)
    return count


def _url_rows(meta: Path) -> Iterator[tuple[str, str, str, str, str]]:
    for place, item in enumerate(json_list(meta)):
        for colour in _value(item, "images", meta, place):
            if not isinstance(colour, dict):
                raise UserError(f"{meta}: item {place}: images: expected objects, found {colour!r:.60}")
            for position in sorted(filter(_POSITION.fullmatch, colour), key=int):
                url = str(colour[position])
                large = _LARGE.match(url)
                texts = (item.get("id", place), item.get("title", ""), colour.get("color", ""))
                yield (*(guarded(str(text)) for text in texts), position, guarded(large[0] if large else url))


def _value(item: Any, key: str, path: Path, place: int) -> Any:
    kind = _KINDS[key]
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, kind):
        raise UserError(f"{path}: item {place}: {key}: expected {kind.__name__}, found {value!r:.60}")
    return value
