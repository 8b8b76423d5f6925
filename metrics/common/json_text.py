"""JSON text that anybody may have written: whatever is wrong with it is a `ValueError`, and nothing else."""

import json
import math
from collections.abc import Callable
from typing import Any

DEEPEST = 100  # levels of lists and objects; whatever walks much deeper values ends in a RecursionError
_LONGEST = 300  # digits of a whole number that a float can hold
TOO_DEEP = f"lists or objects nested too deeply, over {DEEPEST} levels"


def parse_json(
    text: str | bytes, parse_constant: Callable[[str], Any] = float, parse_float: Callable[[str], Any] | None = None
) -> Any:
    """The value of a JSON text; bytes are UTF-8, with a byte order mark or without.

    Args:
        text: the whole text.
        parse_constant: what `NaN`, `Infinity` and `-Infinity` become. A number beyond those that a float can hold, such
            as 1e400, is infinite too.
        parse_float: what the digits of a fraction become, and of a whole number that is too long; default: a float.

    Raises:
        ValueError: when it is not UTF-8, not JSON, or nested more than `DEEPEST` levels deep.
    """
    text = text.decode("utf-8-sig") if isinstance(text, bytes) else text

    def number(digits: str) -> Any:
        value = float(digits)
        return value if math.isfinite(value) else parse_constant("Infinity" if value > 0 else "-Infinity")

    fraction = parse_float or number

    def whole(digits: str) -> Any:
        return int(digits) if len(digits) <= _LONGEST else fraction(digits)

    try:
        value = json.loads(text, parse_constant=parse_constant, parse_float=fraction, parse_int=whole)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    if text.count("[") + text.count("{") > DEEPEST:
        check_nesting(value)
    return value


def check_nesting(value: object, most: float = math.inf) -> None:
    """Raise `ValueError` if lists and mappings are nested more than `DEEPEST` levels deep, or have over `most` values.

    A value that is found in several places counts in each.
    """
    levels, count = [iter([value])], 0
    while levels:
        for inner in levels[-1]:
            count += 1
            if isinstance(inner, dict | list | tuple):
                levels.append(iter(list(inner.values()) if isinstance(inner, dict) else inner))
                break
        else:
            levels.pop()
        if len(levels) > DEEPEST + 1:
            raise ValueError(TOO_DEEP)
        if count > most:
            raise ValueError(f"more than {most:,} values, as its anchors repeat them")
