"""Which items of a catalogue get features: all with a photo, or all with a text; what is left out is counted."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.data.items import DROPPED, read_items
from finetune.data.photos import Photo, read_stored
from finetune.data.preparation import Prepared, left_out
from finetune.embedding.texts import Text, TextChoice, texts_of
from metrics.common.errors import UserError
from metrics.common.files import sha256
from metrics.photos.reading import load_photo


@dataclass(frozen=True)
class StoredPhoto:
    """An item's photo, not read yet: a row of a data set, and the digest that `prepare` gave it."""

    data: Any
    row: int
    digest: str

    def read(self, key: str, side: int | None) -> Any:
        """The photo as RGB, a JPEG at a fraction of its size. Raises `UserError` naming the item `key`."""
        try:
            return read_stored(self.data[self.row]["image"], side)
        except UserError as error:
            raise UserError(f"id {key}: {error}") from error


@dataclass(frozen=True)
class PhotoFile:
    """A photo in a file of its own, of no prepared catalogue."""

    path: Path

    @property
    def digest(self) -> str:
        """Hash of the file. Raises `UserError` if it cannot be read."""
        return sha256(self.path)

    def read(self, _key: str, side: int | None) -> Any:
        """As `StoredPhoto.read`; the message names the file."""
        return load_photo(self.path, side)


Source = StoredPhoto | PhotoFile | Text


@dataclass
class Work:
    """What is encoded: photos or texts by the id of their item, and how many items were left out, by reason."""

    sources: dict[str, Source]
    left_out: Counter[str] = field(default_factory=Counter[str])

    @property
    def of_photos(self) -> bool:
        """Whether photos are encoded, not texts."""
        return not isinstance(next(iter(self.sources.values())), Text)

    @property
    def texts(self) -> list[str]:
        """All texts."""
        return [one.text for one in self.sources.values() if isinstance(one, Text)]

    def leave_out(self, keys: Sequence[str], reason: str) -> None:
        """Take these items out, counted under the reason and some of the ids."""
        for key in keys:
            del self.sources[key]
        if keys:
            named = ", ".join(keys[:5]) + (", ..." if len(keys) > 5 else "")
            self.left_out[f"{reason} ({named})"] += len(keys)

    @property
    def digest(self) -> str:
        """Hash of all ids and of their photos or texts, in any order."""
        digest = hashlib.sha256()
        for key in sorted(self.sources):
            digest.update(f"{key}\0{self.sources[key].digest}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]


def photos_of(parts: Mapping[str, Prepared]) -> Work:
    """The photos of all splits of the catalogues. Raises `UserError` if there is none."""
    work = Work({})
    for name, prepared in parts.items():
        prefix = f"{name}/" if len(parts) > 1 else ""
        for data in prepared.splits.values():
            photos = data.select_columns(["image"]).cast_column("image", Photo(decode=False))
            for row, (key, digest) in enumerate(zip(data["id"][:], data["photo_digest"][:], strict=True)):
                work.sources[prefix + key] = StoredPhoto(photos, row, digest)
        work.left_out.update(left_out(prepared))
    return _some(work, "a photo")


def described(parts: Mapping[str, Prepared], choice: TextChoice) -> Work:
    """The texts that `choice` finds for the items of all splits. Raises `UserError` as `photos_of` and `texts_of`."""
    work = Work({})
    for name, prepared in parts.items():
        prefix = f"{name}/" if len(parts) > 1 else ""
        items = read_items(_table(prepared))
        work.left_out.update(left_out(prepared))
        used = items[~items["role"].str.startswith(DROPPED)]
        texts = texts_of(used, items, choice)
        work.sources.update((prefix + key, text) for key, text in texts.items() if text.text)
        work.left_out["no text"] += sum(not text.text for text in texts.values())
    return _some(work, "a text")


def _some(work: Work, what: str) -> Work:
    if not work.sources:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in (+work.left_out).items())
        raise UserError(f"no item of the catalogue has {what}: {reasons or 'it is empty'}")
    return work


def _table(prepared: Prepared) -> Path:
    if prepared.items is None:
        raise UserError(f"{prepared.account.name}: has no table of its own; name one of its catalogues")
    return prepared.items
