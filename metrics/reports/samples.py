"""The items that the report shows, with their photos as thumbnails."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics.common.measure_names import HEADLINE
from metrics.photos.thumbnails import Thumbnail, thumbnail_in
from metrics.records.captions import CaptionRecord
from metrics.scoring.suite import Evaluation, finite

_SEED = 42
_SAMPLES = 24
_EXTREMES = 6
_SCORES = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One system's caption of an item and its scores (0..1, CIDEr 0..10), None if missing or left out."""

    system: str
    kind: str | None
    caption: str | None
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class ItemCard:
    """One item with its photo and every system's caption."""

    item: CaptionRecord
    photo: Thumbnail
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class SampleGroup:
    """A titled group of cards."""

    title: str
    note: str
    cards: Sequence[ItemCard]


def shown_measures(evaluation: Evaluation) -> list[str]:
    """Return the measures shown beside a caption: CIDEr, ROUGE-L and BLEU-4, or the first three that were measured."""
    wanted = dict.fromkeys(("CIDEr", "ROUGE-L", "BLEU-4", *HEADLINE))
    return [name for name in wanted if name in evaluation.measures][:_SCORES]


def choose_samples(evaluation: Evaluation, images: Path | None = None) -> list[SampleGroup]:
    """Return 24 random items (always the same), then the last system's 6 best and 6 worst by the first shown measure.

    Items that this measure leaves out are neither. Photos are in the folder `images`, by default in that of the runs.
    """
    places = range(len(evaluation.items))
    chosen = sorted(random.Random(_SEED).sample(places, min(_SAMPLES, len(places))))  # noqa: S311
    last = evaluation.results[-1]
    measure = shown_measures(evaluation)[0]
    values = last.scores["all"][measure].per_item
    ranked = sorted((place for place in places if values[place] == values[place]), key=lambda place: -values[place])
    name = last.system.name
    folder = images or next((own for one in evaluation.results if (own := one.system.photo_folder)), None)
    groups = (
        ("Samples", f"{len(chosen)} of {len(places)} items, drawn at random with a fixed seed.", chosen),
        ("Best", f"The highest {measure} of {name}.", ranked[:_EXTREMES]),
        ("Worst", f"The lowest {measure} of {name}.", ranked[::-1][:_EXTREMES]),
    )
    return [
        SampleGroup(title, note, [_card(evaluation, place, folder) for place in group]) for title, note, group in groups
    ]


def _card(evaluation: Evaluation, place: int, folder: Path | None) -> ItemCard:
    item = evaluation.items[place]
    lines, shown = [], shown_measures(evaluation)
    for result in evaluation.results:
        record = result.system.captions.get(item.id)
        scores = {measure: finite(result.scores["all"][measure].per_item[place]) for measure in shown}
        kind = result.system.run.kind if result.system.run else None
        lines.append(Line(result.system.name, kind, record.caption if record else None, scores))
    return ItemCard(item, thumbnail_in(folder, item.image), lines)
