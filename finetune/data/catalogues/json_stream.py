"""Reading one large JSON list element by element, however long it is.

ijson 3.6 was tried: twice as fast, but integers of more than 64 bits are refused, escaped lone surrogates become "?",
an object reads as an empty list, and deeply nested brackets take all memory.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from metrics.common.errors import UserError
from metrics.common.files import refuse_special
from metrics.common.json_text import DEEPEST, check_nesting

_CHUNK = 1 << 20
_OPENING = re.compile(r"\s*\[\s*")
_NEXT = re.compile(r"\s*([,\]])\s*")


def json_list(path: Path) -> Iterator[Any]:
    """The elements of the JSON list in `path`, one at a time.

    Raises `UserError` with file and row if it is no such list, is truncated or is not UTF-8.
    """
    refuse_special(path)
    row = 0
    try:
        with path.open(encoding="utf-8") as file:
            for row, element in enumerate(_elements(file), 1):  # noqa: B007
                yield element
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}); use the file as it was published") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: row {row}: {error}; is the file truncated there?") from error


def _elements(file: TextIO) -> Iterator[Any]:
    text = file.read(_CHUNK)
    opening = _OPENING.match(text)
    if opening is None:
        raise ValueError("not a JSON list")
    text = text[opening.end() :]
    done = text.startswith("]")
    place = int(done)
    while not done:
        parsed = _element(text, place)
        if parsed is None:
            more = file.read(max(_CHUNK, len(text) - place))
            if not more:
                raise ValueError("not JSON")
            text, place = (text[place:] + more).lstrip(), 0
            continue
        element, place, done = parsed
        yield element
    if (text[place:] + file.read()).strip():
        raise ValueError("the list has ended, but the file continues")


def _element(text: str, place: int) -> tuple[Any, int, bool] | None:
    """The element at `place`, where the next one is and whether there is none; None if more text is needed."""
    try:
        element, end = json.JSONDecoder().raw_decode(text, place)
    except ValueError:
        return None
    if text.count("[", place, end) + text.count("{", place, end) > DEEPEST:
        check_nesting(element)
    after = _NEXT.match(text, end)
    return (element, after.end(), after[1] == "]") if after else None
