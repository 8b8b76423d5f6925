"""The page of a run's evaluations: how scores and captions change while training."""

from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

from metrics.common.files import read_json_object, write_text
from metrics.common.templates import render
from metrics.photos.thumbnails import thumbnail
from metrics.records.captions import CaptionRecord, read_records

SCORES, PAGE = "scores.json", "index.html"


def captions_file(folder: Path, step: int) -> Path:
    """The file of the captions after `step` optimizer steps."""
    return folder / f"step-{step:06d}.jsonl"


def write_page(folder: Path, photos: Sequence[Image]) -> None:
    """Write the page of all evaluations in `folder`, with the `photos` of the first items."""
    scores = read_json_object(folder / SCORES, "remove it")
    evaluated = {step: read_records(captions_file(folder, int(step))) for step in scores["steps"]}
    first: Sequence[CaptionRecord] = next(iter(evaluated.values()))
    cards = [
        {
            "id": item.id,
            "reference": next(iter(item.references), ""),
            "photo": thumbnail(photo),
            "captions": {step: records[row].caption for step, records in evaluated.items()},
        }
        for row, (item, photo) in enumerate(zip(first, photos, strict=False))
    ]
    write_text(folder / PAGE, render("evaluation.html.j2", scores | {"cards": cards}, "finetune"))
