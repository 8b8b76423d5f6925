"""The pages of several commands joined to one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.files import read_bytes, write_text
from metrics.common.ownership import Contents
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


def write_joined(path: Path, name: str, before: Sequence[Step], steps: Sequence[Step], left_out: str = "") -> None:
    """Write one page with the pages of `steps` in their order, below the commands that came before.

    `left_out` says which parts are missing, and why.
    """
    view = {
        "name": name,
        "before": [step.command for step in before],
        "left_out": left_out,
        "parts": [{"title": step.title, "command": step.command, "body": _body(step.page)} for step in steps],
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "lookbook": installed_version(),
    }
    write_text(path, render("features.html.j2", view, "recommend"))


def _body(page: Path | None) -> str:
    """What is in the `main` element of a page that one of our templates made, where all text is escaped."""
    text = "" if page is None else read_bytes(page).decode("utf-8")
    before, opened, rest = text.partition("<main>")
    body, closed, _ = rest.partition("</main>")
    if not (before and opened and closed):
        raise UserError(f"{page}: expected a page of Lookbook, found another file; remove it and run the command again")
    return body
