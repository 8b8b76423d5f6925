"""The page of a composed query: the reference, the text, and the photos found."""

from datetime import UTC, datetime
from pathlib import Path

from metrics.common.files import write_text
from metrics.common.ownership import check_page
from metrics.common.templates import render
from metrics.common.version import installed_version
from metrics.photos.thumbnails import Thumbnail, thumbnail_of
from recommend.retrieval.compose import ComposedSearch, Found

_MARK = '<p class="eyebrow">Lookbook composed retrieval</p>'


def check_sheet(path: Path, overwrite: bool = False) -> None:
    """Raise `UserError` if the page cannot be written, or a file of others is there not to `overwrite`."""
    check_page(path, _MARK, "page of composed retrieval", "--html", overwrite)


def write_sheet(searched: ComposedSearch, found: Found, path: Path) -> None:
    """Write the page, after `check_sheet`."""
    cards = [one | {"photo": _photo(searched, one["id"])} for one in found.to_json()["found"]]
    view = {
        "found": found,
        "own": _photo(searched, found.image),
        "cards": cards,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "lookbook": installed_version(),
    }
    write_text(path, render("composed.html.j2", view, "recommend"))


def _photo(searched: ComposedSearch, key: str) -> Thumbnail:
    """The photo as a thumbnail, or the reason why there is none."""
    path = searched.photo(key)
    if path is None:
        return Thumbnail(problem="the photo is gone, or its folder was not used here")
    return thumbnail_of(path)
