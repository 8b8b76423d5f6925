"""The account of a preparation: what was counted, left out and divided, as `account.json` keeps it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from finetune.data.leaks import LeakAudit
from finetune.data.similar_photos import PhotoCounts
from metrics.common.formatting import printable
from metrics.common.json_text import parse_json


@dataclass(frozen=True)
class Step:
    """A step of the preparation and the number of articles that it left."""

    step: str
    articles: int


@dataclass(frozen=True)
class SplitSizes:
    """How the articles were divided (None for a mixture), and the number of items of each split."""

    method: str | None
    sizes: dict[str, int]


@dataclass(frozen=True)
class MixturePart:
    """A catalogue of a mixture: its weight, its training articles, and the items drawn from them."""

    name: str
    weight: float
    articles: int
    drawn: int


@dataclass(frozen=True)
class Account:
    """How a prepared catalogue, or a mixture of several, came about.

    `title` is what readers call it; like `folder` it comes from the recipe and is not in `account.json`.
    `fingerprint` changes with every row, photo and key that decides the data. `folder` is None if the photos are in the
    prepared data. `dropped` has the ids by rule, `image_sizes` the number of photos by "width x height", the most
    frequent first, `notes` further lines under titles, `photos` how many photos are in several items or look like
    others, `digests` the hash of each split's rows and of the items. `mixture` is empty for a single catalogue; a
    mixture has its name, fingerprint, split sizes and `mixture` only.
    """

    name: str
    fingerprint: str
    split: SplitSizes
    folder: str | None = None
    title: str | None = None
    counts: tuple[Step, ...] = ()
    dropped: dict[str, list[str]] = field(default_factory=dict)
    bad_images: list[str] = field(default_factory=list)
    image_sizes: dict[str, int] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    photos: PhotoCounts = field(default_factory=PhotoCounts)
    leak_audit: LeakAudit = field(default_factory=LeakAudit)
    digests: dict[str, str] = field(default_factory=dict)
    mixture: tuple[MixturePart, ...] = ()

    def to_json(self) -> str:
        """The text of `account.json`, for the folder of a single catalogue, with a hash of itself."""
        values = {key: value for key, value in asdict(self).items() if key not in ("folder", "title", "mixture")}
        return _dump(values | {"sha256": _sha256(values)})

    def description(self) -> str:
        """The text that each Arrow data set of the catalogue keeps in its own info."""
        values = asdict(self)
        return _dump({key: values[key] for key in ("name", "counts", "split", "leak_audit")})

    @classmethod
    def from_json(cls, text: str, folder: Path | None) -> "Account":
        """Read `to_json`'s text. Raises `ValueError`, `KeyError` or `TypeError` if it is damaged."""
        values = parse_json(text)
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, found {type(values).__name__}")
        if values.pop("sha256") != _sha256(values):
            raise ValueError("the account is not the one that was written")
        return cls(
            name=values["name"],
            fingerprint=values["fingerprint"],
            split=SplitSizes(**values["split"]),
            folder=str(folder) if folder else None,
            counts=tuple(Step(**step) for step in values["counts"]),
            dropped=values["dropped"],
            bad_images=values["bad_images"],
            image_sizes=values["image_sizes"],
            notes=values["notes"],
            photos=PhotoCounts(**values["photos"]),
            leak_audit=LeakAudit(**values["leak_audit"]),
            digests=values["digests"],
        )

    @property
    def outside_middle_square(self) -> float:
        """The share of the photos' area that lies outside their middle squares."""
        photos = [(*map(int, size.split(" x ")), count) for size, count in self.image_sizes.items()]
        total = sum(count for _, _, count in photos)
        return sum((1 - min(w, h) / max(w, h)) * count for w, h, count in photos) / total if total else 0.0

    def unseen_note(self) -> str:
        """What a model that crops photos never sees of them."""
        return (
            f"note: {self.outside_middle_square:.1%} of the area of {self.name}'s photos lies outside their middle "
            "squares and is never seen; model.image: pad shows all of it"
        )

    def for_run_record(self) -> dict[str, Any]:
        """The parts of `run.json` that describe the catalogue: `catalogue` and `leak_audit`."""
        values = asdict(self)
        catalogue = {key: values[key] for key in ("name", "title", "folder", "counts", "split", "bad_images", "notes")}
        dropped = {rule: len(ids) for rule, ids in self.dropped.items()}
        catalogue |= {"dropped": dropped, "outside_middle_square": self.outside_middle_square}
        return {"catalogue": catalogue, "leak_audit": self.leak_audit.as_dict()}

    def for_training_record(self) -> dict[str, Any]:
        """The parts of `training.json` that describe the data: `catalogue_fingerprint` and `mixture`."""
        return {
            "catalogue_fingerprint": self.fingerprint,
            "mixture": tuple(asdict(part) for part in self.mixture),
        }

    def describe(self) -> str:
        """The account for the screen."""
        leak = self.leak_audit
        tested = f"{leak.test_items:,} test items with {leak.test_captions:,} distinct captions"
        audited = [
            f"  {leak.captions_in_train:>9.1%}  captions that are verbatim in training",
            f"  {leak.siblings_in_train:>9.1%}  items with a sibling of the same product in training",
        ]
        if leak.photos_in_train is not None:
            audited.append(f"  {leak.photos_in_train:>9.1%}  items whose photo is in training (same bytes or pixels)")
        repeated = [
            ("items share their photo with others (same bytes or pixels)", self.photos.shared),
            ("items have a photo that looks like another (hashes within 2 of 64 bits)", self.photos.similar),
            ("test items have a photo that looks like one of training", self.photos.similar_to_training),
        ]
        sections = {
            f"catalogue {self.name}": _counted([(step.step, step.articles) for step in self.counts]),
            "dropped, by rule": _counted([(rule, len(ids)) for rule, ids in self.dropped.items() if ids]),
            **{title: [f"  {line}" for line in lines] for title, lines in self.notes.items()},
            "photos that are not alone": _counted([(text, count) for text, count in repeated if count]),
            "photos left out": [f"  {reason}" for reason in self.bad_images],
            f"{self.split.method} split": _counted(list(self.split.sizes.items())),
            f"leak audit of {tested}": audited if leak.test_items else [],
        }
        return printable("\n".join(line for title, lines in sections.items() if lines for line in (title, *lines)))


def _counted(counts: Sequence[tuple[str, int]]) -> list[str]:
    return [f"  {count:>9,}  {what}" for what, count in counts]


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(_dump(values).encode("utf-8", "surrogatepass")).hexdigest()


def _dump(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False)
