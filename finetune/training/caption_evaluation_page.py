"""The page of a run's judgements: how scores and captions change while training."""

import json
from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

from metrics.common.files import write_text
from metrics.common.templates import render
from metrics.common.thumbnails import thumbnail
from metrics.records.captions import CaptionRecord, read_records

SCORES, PAGE = "scores.json", "index.html"


def captions_file(folder: Path, step: int) -> Path:
    """Where the captions after `step` optimizer steps lie."""
    return folder / f"step-{step:06d}.jsonl"


def write_page(folder: Path, photos: Sequence[Image]) -> None:
    """Write the page of all judgements in `folder`, with the `photos` of the first items."""
    noted = json.loads((folder / SCORES).read_text(encoding="utf-8"))
    judged = {step: read_records(captions_file(folder, int(step))) for step in noted["steps"]}
    first: Sequence[CaptionRecord] = next(iter(judged.values()))
    cards = [
        {
            "id": item.id,
            "reference": item.references[0],
            "photo": thumbnail(photo),
            "captions": {step: records[place].caption for step, records in judged.items()},
        }
        for place, (item, photo) in enumerate(zip(first, photos, strict=False))
    ]
    write_text(folder / PAGE, render("judgements.html.j2", noted | {"cards": cards}, "finetune"))
