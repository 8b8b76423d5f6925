"""The pages of several commands joined to one."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from metrics.common.errors import UserError
from metrics.common.files import read_bytes, write_text
from metrics.common.ownership import Contents, check_page, refuse_inputs
from metrics.common.templates import render
from metrics.common.version import installed_version
from recommend.report.steps import PHOTO, TEXT, Step

CONTENTS = Contents(
    {
        "features.html": '<p class="eyebrow">Lookbook features</p>',
        **dict.fromkeys(("similar.html", "map.html", "elbow.html"), '<p class="eyebrow">Lookbook'),
        **dict.fromkeys((PHOTO, f".{PHOTO}.*", f"{PHOTO}-pca", TEXT, f".{TEXT}.*"), ""),
        **dict.fromkeys(("attribute-precision", "clusters", "methods"), ""),
    },
    record="features.html",
)
Kind = Literal["features", "pages"]
_FEATURES = (
    "What vectors of photos and texts find, how good that is, and what becomes of them in fewer dimensions and in "
    "clusters."
)


@dataclass(frozen=True)
class Part:
    """A part of a joined page: its title, the command or file that it is from, and its HTML."""

    title: str
    source: str
    body: str


def check_joined(path: Path, pages: Sequence[Path], overwrite: bool = False) -> None:
    """Raise `UserError` if the page of `pages` cannot be written, is one of them, or is not to `overwrite` another."""
    check_page(path, '<p class="eyebrow">Lookbook pages</p>', "page of joined pages", "--out", overwrite)
    refuse_inputs([path], pages)


def write_joined(path: Path, name: str, before: Sequence[Step], steps: Sequence[Step], left_out: str = "") -> None:
    """Write one page with the pages of `steps` in their order, below the commands that came before.

    `left_out` says which parts are missing, and why.
    """
    parts = [Part(step.title, step.command, _body(step.page)) for step in steps]
    _write(path, "features", f"Features of {name}", _FEATURES, parts, [step.command for step in before], left_out)


def join_pages(path: Path, title: str, pages: Sequence[Path]) -> None:
    """Write one page with `pages`, which other commands wrote, in their order, after `check_joined`.

    Raises `UserError` if one of them is missing or is no page of ours.
    """
    parts = [Part(_title(page), str(page), _body(page)) for page in pages]
    _write(path, "pages", title, f"{len(parts)} pages of Lookbook.", parts)


def _write(
    path: Path,
    kind: Kind,
    title: str,
    lede: str,
    parts: Sequence[Part],
    before: Sequence[str] = (),
    left_out: str = "",
) -> None:
    view = {
        "kind": kind,
        "title": title,
        "lede": lede,
        "parts": parts,
        "before": before,
        "left_out": left_out,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "lookbook": installed_version(),
    }
    write_text(path, render("joined.html.j2", view, "recommend"))


def _title(page: Path) -> str:
    """The heading of a page of ours."""
    found = re.search(r'<p class="eyebrow">Lookbook[^<]*</p>\s*<h1[^>]*>(.*?)</h1>', _text(page), re.DOTALL)
    if not found:
        raise UserError(f"{page}: expected a page of Lookbook, found another file")
    return html.unescape(found[1])


def _body(page: Path | None) -> str:
    """What is in the `main` element of a page that one of our templates made, where all text is escaped."""
    before, opened, rest = (_text(page) if page else "").partition("<main>")
    body, closed, _ = rest.partition("</main>")
    if not (before and opened and closed):
        raise UserError(f"{page}: expected a page of Lookbook, found another file; remove it and run the command again")
    return body


def _text(page: Path) -> str:
    return read_bytes(page).decode("utf-8", errors="replace")
