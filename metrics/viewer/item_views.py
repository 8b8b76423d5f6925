"""What the templates show of items: captions with marked words, scores, facts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metrics.common.formatting import each_shown, shown
from metrics.records.captions import CaptionRecord
from metrics.viewer.index import Caption, Index
from metrics.viewer.marks import Piece, marked
from metrics.viewer.score_folder import System


@dataclass(frozen=True, slots=True)
class Line:
    """One system's caption of an item.

    Attributes:
        system: the system.
        caption: the caption, its attributes and predicted category.
        pieces: the caption's text, `right` and `invented` words apart.
        scores: measure to score, 0..1 (CIDEr 0..10); None if the measure leaves the item out or was not computed.
        confidence: exp of the mean log-probability of the tokens, 0..1; None if unknown, or no log-probability.
        precision: the share of the caption's attributes that are right; None without any.
        recall: the share of the references' attributes that are right; None without any.
    """

    system: System
    caption: Caption
    pieces: Sequence[Piece]
    scores: Mapping[str, float | None]
    confidence: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item with some systems' captions of it.

    Attributes:
        place: its place in the test set, from 0.
        item: the record without a caption.
        lines: a line for each of the systems.
    """

    place: int
    item: CaptionRecord
    lines: Sequence[Line]

    def references(self, name: str) -> list[list[Piece]]:
        """The references' texts, of which words are apart that the system `name` has `right` or has `missed`."""
        attributes = next((line.caption.attributes for line in self.lines if line.system.name == name), None)
        found = {kind: (attributes or {}).get(kind, ()) for kind in ("right", "missed")}
        return [marked(text, found) for text in each_shown(self.item.references)]


def item_views(index: Index, places: Iterable[int], systems: Sequence[int] | None = None) -> list[ItemView]:
    """Return the items at `places` with the captions of `systems`, by their numbers (default: all, in their order)."""
    numbers = [*range(len(index.systems))] if systems is None else systems
    scores = {(measure, system): index.scores(measure, system) for measure in index.measures for system in numbers}
    views = []
    for place in map(int, places):
        captions = index.captions(place)
        lines = [
            _line(
                index.systems[system], captions[system], {m: _known(scores[m, system][place]) for m in index.measures}
            )
            for system in numbers
        ]
        views.append(ItemView(place, index.item(place), lines))
    return views


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _line(system: System, caption: Caption, scores: Mapping[str, float | None]) -> Line:
    sets = caption.attributes or {}
    right, invented, missed = (sets.get(kind, ()) for kind in ("right", "invented", "missed"))
    return Line(
        system,
        caption,
        marked(shown(caption.caption or ""), {"right": right, "invented": invented}),
        scores,
        math.exp(caption.logprob) if caption.logprob is not None and caption.logprob <= 0 else None,
        _share(len(right), len(invented)),
        _share(len(right), len(missed)),
    )


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None
