"""The page of a filling: each photo beside its new description, the least confident first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.captioning.captioning import Selection
from finetune.data.filled import Filled
from finetune.data.preparation import Prepared
from metrics.common.files import write_text
from metrics.common.templates import render
from metrics.photos.thumbnails import thumbnail
from metrics.records.captions import CaptionRecord

FIRST = "contact-sheet.html"
_CARDS = 200  # on a page, with their photos in it


def write_contact_sheet(out: Path, prepared: Prepared, records: Sequence[CaptionRecord], filled: Filled) -> list[Path]:
    """Write `contact-sheet.html`, and further numbered pages for many items, into `out`; their paths."""
    order = sorted(records, key=lambda record: (record.logprob is None, record.logprob or 0.0, record.id))
    items = [one for ids in (filled.filled, filled.withheld) for one in order if one.id in ids]
    pages = [items[start : start + _CARDS] for start in range(0, len(items), _CARDS)]
    paths = [out / (f"contact-sheet-{number}.html" if number > 1 else FIRST) for number in range(1, len(pages) + 1)]
    for of_longer in set(out.glob("contact-sheet-[0-9]*.html")) - set(paths):
        of_longer.unlink()
    selected = Selection("all", frozenset(record.id for record in items)).items(prepared)
    photos = {record.id: (data, row) for record, data, row in selected}
    names = [path.name for path in paths]
    for path, page in zip(paths, pages, strict=True):
        cards = [_card(record, *photos[record.id], filled) for record in page]
        view = {"name": prepared.account.name, "filled": filled, "pages": names, "here": path.name, "cards": cards}
        write_text(path, render("contact-sheet.html.j2", view, "finetune"))
    return paths


def _card(record: CaptionRecord, data: Any, row: int, filled: Filled) -> dict[str, Any]:
    entry = filled.filled.get(record.id) or filled.withheld[record.id]
    before = record.references[0] if record.references else None
    return {"record": record, "photo": thumbnail(data[row]["image"]), "before": before, **entry}
