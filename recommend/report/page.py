"""The pages of several commands joined to one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.files import read_bytes, write_text
from metrics.common.templates import render
from metrics.common.version import installed_version
from recommend.common.own_files import refuse_other_page
from recommend.report.steps import Step

_MARK = '<p class="eyebrow">Lookbook features</p>'


def check_joined(path: Path) -> None:
    """Raise `UserError` if there is something at `path` that is no such page."""
    refuse_other_page(path, _MARK, "page of features")


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
