"""What the fuzz targets share: hostile values and damaged files, and the rule that a reader reads or refuses."""

import json
import re
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.common.errors import UserError

SHORT, LONG = 100, 12_000  # milliseconds that a target may take, in `make test` and in `make fuzz`
_RAW = re.compile(r'"@(.*?)@"')  # what is no value of Python stands in a text until it is written
_NUMBERS = ["1e400", "-1e400", "1e-400", "NaN", "Infinity", "9" * 400, "9" * 5000, "-0.0", "18446744073709551616"]
_TEXTS = ["", "\0", "\ud800", "caf\udce9", "=1+1", "\u2028", "\x1b[31m", "[red]", "../..", "x" * 300, "0", "nan"]
DEEP = "[" * 100_000
NESTED = "[" * 500 + "]" * 500

TEXTS = st.sampled_from(_TEXTS) | st.text(st.characters(exclude_categories=()), max_size=8)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.sampled_from([f"@{number}@" for number in [*_NUMBERS, DEEP, NESTED]])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
"""What JSON can say, and some that it cannot."""


def fuzz(*readers: str, cost: int = 5, **strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`given` for a target: a few examples, always the same, or many with the profile `fuzz`.

    `readers`: the modules that read the file; `test_fuzz_coverage.py` looks for their names.
    `cost`: about how many milliseconds an example takes.
    """
    long = settings.get_current_profile_name() == "fuzz"
    examples = max(3, (LONG if long else SHORT) // cost)
    options = settings(
        max_examples=examples, derandomize=not long, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return lambda target: options(given(**strategies)(target))


def reads_or_refuses(read: Callable[..., Any], *arguments: Any) -> None:
    """Call a reader. Anything but what it returns and a `UserError` fails the test, and what a reader yields is read."""
    with suppress(UserError):
        found = read(*arguments)
        if isinstance(found, Iterable) and not isinstance(found, str | dict | list | tuple):
            list(found)


def as_json(value: Any) -> bytes:
    """A value as JSON text, its texts of `@...@` raw."""
    return _RAW.sub(lambda match: match[1], json.dumps(value)).encode()


SMALL = st.none() | st.booleans() | st.integers(-3, 99) | TEXTS | st.sampled_from([[], {}, [{}], 2**70, "e400@", 0.5])
"""Values for the settings of models: none that would make a model of some gigabytes."""


@st.composite
def changed(draw: st.DrawFn, value: Any, values: st.SearchStrategy[Any] = VALUES) -> Any:
    """The value with one or two of its parts replaced by `values`, left out or doubled."""
    value = deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        places = _places(value)
        if not places:
            return draw(values)
        part, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if how == "replace":
            part[key] = draw(values)
        elif how == "remove":
            del part[key]
        elif isinstance(part, dict):
            part[draw(TEXTS)] = draw(values)
        else:
            part.insert(key, deepcopy(part[key]))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each list or object in a value with each key of it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a stretch of them overwritten, left out, doubled or cut off."""
    start = draw(st.integers(0, len(data)))
    end = min(len(data), start + draw(st.integers(0, 16)))
    how = draw(st.sampled_from(["overwrite", "double", "cut"]))
    if how == "overwrite":
        return data[:start] + draw(st.binary(max_size=16)) + data[end:]
    return data[:start] if how == "cut" else data[:end] + data[start:]


def files(valid: Any) -> st.SearchStrategy[bytes]:
    """Contents for a file that should hold the JSON value `valid`: nearly so, or anything."""
    anything = st.binary(max_size=40) | st.builds(as_json, VALUES) | st.just(DEEP.encode())
    return st.builds(as_json, changed(valid)) | damaged(as_json(valid)) | anything


def line_files(valid: list[Any]) -> st.SearchStrategy[bytes]:
    """The same for a file of JSON lines."""
    lines = changed(valid).map(lambda rows: b"\n".join(map(as_json, rows if isinstance(rows, list) else [rows])))
    return lines | damaged(b"\n".join(map(as_json, valid))) | files(valid)


@cache
def folder(name: str) -> Path:
    """A folder for a target, which is the same for all its examples; removed when the process ends."""
    path = Path(_root().name) / name
    path.mkdir(parents=True)
    return path


@cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def put(path: Path, content: bytes) -> Path:
    """Write a file for one example, of a new inode, so that nothing kept of the former one is used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path
