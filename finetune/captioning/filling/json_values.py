"""Values of JSON lines changed in place: every other byte, such as a number as it is written, stays as it is."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from metrics.common.errors import UserError

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)  # only where a value ends is of interest
_OPEN, _COLON, _COMMA = (re.compile(rf"[ \t\r\n]*{mark}[ \t\r\n]*") for mark in (r"\{", ":", ","))


def with_values(lines: Iterable[str], key: str, texts: Mapping[int, str]) -> Iterator[str]:
    """Yield `lines` of JSON as they are, but with `texts` (number of an object to its text) under a key.

    Blank lines are no objects. An object without the key gets it as its last one. Raises `UserError` if the line of a
    text is no object.
    """
    number = -1
    for line in lines:
        number += bool(line.strip())
        yield _with_value(line, key, texts[number]) if line.strip() and number in texts else line


def _with_value(line: str, key: str, text: str) -> str:
    new = json.dumps(text, ensure_ascii=False)
    try:
        places, end = _values(line)
    except ValueError as error:
        raise UserError(f"line {line[:60]!r}: expected a JSON object; was the table changed meanwhile?") from error
    if key in places:
        start, end = places[key]
        return line[:start] + new + line[end:]
    return line[:end] + (", " if places else "") + json.dumps(key, ensure_ascii=False) + ": " + new + line[end:]


def _values(line: str) -> tuple[dict[str, tuple[int, int]], int]:
    """Each key of the object in `line` to the place of its value (the last one's if it is repeated); where they end."""
    places: dict[str, tuple[int, int]] = {}
    end = _after(_OPEN, line, 0)
    before = None if line.startswith("}", end) else _OPEN.match(line)
    while before:
        key, end = _DECODER.raw_decode(line, before.end())
        start = _after(_COLON, line, end)
        _, end = _DECODER.raw_decode(line, start)
        places[key] = start, end
        before = _COMMA.match(line, end)
    return places, end


def _after(mark: re.Pattern[str], line: str, place: int) -> int:
    found = mark.match(line, place)
    if found is None:
        raise ValueError(f"no {mark.pattern} at {place}")
    return found.end()
