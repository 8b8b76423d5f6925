"""How reports and the terminal print numbers and text; most are filters of the templates."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST, MOST = 2_000, 20  # characters of a text, and texts of an item, that pages show
# Control characters but tabs and line breaks, those of Unicode's property Bidi_Control, line and paragraph separators,
# halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(value: object) -> str:
    r"""Make text of anybody's file safe for a terminal: what moves the cursor or reorders text is escaped (`\x1b`)."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), str(value))


def figure(value: float | None, form: str = ".1f") -> str:
    """Print a number; a dash for None."""
    return "–" if value is None else format(value, form)


def times_100(value: float | None) -> str:
    """Print a score as the papers do: 0.4142 as `41.4`; a dash for None."""
    return figure(None if value is None else value * 100)


def between(interval: Sequence[float]) -> str:
    """Print an interval of scores as the papers print scores: `40.1–42.6`."""
    low, high = interval
    return f"{times_100(low)}–{times_100(high)}"


def percent(value: float | None) -> str:
    """Print a share: 0.749 as `74.9%`; a dash for None."""
    return "–" if value is None else f"{value * 100:.1f}%"


def thousands(value: float) -> str:
    """Print a count: 104232 as `104,232`."""
    return f"{value:,.0f}"


def size(part: Mapping[str, Any]) -> str:
    """Print how many items a slice has in how many clusters: `n = 40 in 12 clusters by product, reference`."""
    clusters = (
        f" in {part['clusters']:,} clusters by {part['unit'].replace('+', ', ')}" if part["unit"] != "item" else ""
    )
    return f"n = {part['n']:,}{clusters}"


def duration(seconds: float) -> str:
    """Print seconds as `42.0 s`, `5 min 1 s` or `3 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(value: object) -> str:
    """Print a value of a run's description on one line: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shown(text: str) -> str:
    """Cut a text of somebody else's to the characters that a page has room for: captions may have millions."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def each_shown(texts: Sequence[str]) -> list[str]:
    """Cut the texts of an item likewise; what says how many are left out is the last."""
    more = [f"… and {len(texts) - MOST:,} more"] if len(texts) > MOST else []
    return [*map(shown, texts[:MOST]), *more]


def block(value: Mapping[str, Any]) -> str:
    """Print a mapping as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def cell(value: object) -> str:
    """Make text safe within a Markdown table: one `printable` line, with markup and column bars escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", printable(" ".join(str(value).split())))


def code(value: object) -> str:
    """Make text one `printable` line of Markdown's code, between more backticks than it has in a row."""
    text = printable(" ".join(str(value).split()))
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{blank}{text}{blank}{fence}"


FILTERS = {
    "figure": figure,
    "times_100": times_100,
    "between": between,
    "percent": percent,
    "thousands": thousands,
    "size": size,
    "duration": duration,
    "plain": plain,
    "shown": shown,
    "each_shown": each_shown,
    "block": block,
    "cell": cell,
    "code": code,
}
