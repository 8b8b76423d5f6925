"""What a rater is shown of an item, and what a form brings back of it: captions by letters, never by systems."""

import hashlib
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from urllib.parse import parse_qsl

from metrics.common.errors import UserError
from metrics.text.spelling import plain_spelling
from metrics.viewer.ratings.store import LONGEST_NOTE, LONGEST_RATER, RATINGS, Rating, caption_digest, now

_FIELDS = 2_000  # a form has two a system


@dataclass(frozen=True, slots=True)
class Sheet:
    """One item as one rater is shown it.

    Attributes:
        item: the item's id.
        rater: the rater's name.
        blind: whether the page leaves out which systems they are.
        systems: A, B, C ..., by which forms name the captions, to the systems' names, in the page's order.
        captions: the systems' names to digests of their captions.
    """

    item: str
    rater: str
    blind: bool
    systems: Mapping[str, str]
    captions: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What tells that a form was made of the same item, systems and captions.

        The captions are in the page's order; blind, the systems are not, so that it does not tell whose they are.
        """
        names = list(self.systems.values())
        captions = [self.captions[name] for name in names]
        return _hash(self.item, *(sorted(names) if self.blind else names), *captions)[:16]


def make_sheet(item: str, rater: str, blind: bool, captions: Mapping[str, str | None]) -> Sheet:
    """Return the sheet of an item's captions by systems' names.

    Blind, the order is by a hash of item, rater and system: it differs, but repeats.
    """
    order = sorted(captions, key=lambda name: _hash(item, rater, name)) if blind else list(captions)
    digests = {name: caption_digest(caption) for name, caption in captions.items()}
    return Sheet(item, rater, blind, dict(zip(_letters(len(order)), order, strict=True)), digests)


def read_rater(name: str) -> str:
    """Return a rater's name with plain white space and in NFC; raises `UserError` if empty, too long or unprintable."""
    plain = plain_spelling(name)
    if not plain or not plain.isprintable() or len(plain) > LONGEST_RATER:
        found = f"{len(plain)} characters" if len(plain) > LONGEST_RATER else repr(plain)
        raise UserError(f"rater: expected a name of 1 to {LONGEST_RATER} printable characters, found {found}")
    return plain


def read_fields(body: bytes) -> dict[str, str]:
    """Return the fields of an urlencoded form; raises `UserError` if it is damaged or names a field twice."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_FIELDS
        )
    except ValueError as error:
        raise UserError(f"expected the fields of a form, urlencoded UTF-8, found damaged text ({error})") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise UserError("expected each field of the form once, found one twice")
    return fields


def read_ratings(fields: Mapping[str, str], sheet: Sheet) -> list[Rating]:
    """Return what a form says of the captions of a sheet: `rating:LABEL` (1 to 5, or empty) and `note:LABEL` of each.

    Raises:
        UserError: naming the field, when it is of no caption of the sheet, has another value, or lacks its counterpart.
    """
    said: dict[str, dict[str, str]] = {}
    if not fields:
        raise UserError("expected ratings of captions, found none")
    for field, value in fields.items():
        kind, _, label = field.partition(":")
        if kind not in ("rating", "note") or label not in sheet.systems:
            known = ", ".join(sheet.systems)
            raise UserError(f"expected rating: or note: and one of {known}; found the field {field!r:.100}")
        said.setdefault(label, {})[kind] = value
    return [_read_rating(label, given, sheet) for label, given in said.items()]


def _read_rating(label: str, given: Mapping[str, str], sheet: Sheet) -> Rating:
    if len(given) < 2:
        raise UserError(f"expected rating:{label} and note:{label}, found one of them; reload the page")
    rating, note = given["rating"], "\n".join(given["note"].splitlines()).strip()
    if rating not in ("", *map(str, RATINGS)):
        raise UserError(f"rating:{label}: expected 1 to 5 or nothing, found {rating!r:.100}")
    if len(note) > LONGEST_NOTE:
        raise UserError(f"note:{label}: expected at most {LONGEST_NOTE:,} characters, found {len(note):,}")
    value = int(rating) if rating else None
    system = sheet.systems[label]
    return Rating(sheet.item, system, sheet.rater, value, note, sheet.blind, now(), sheet.captions[system])


def _letters(count: int) -> list[str]:
    letters = list(string.ascii_uppercase)
    if count > len(letters):
        letters += ["".join(pair) for pair in product(letters, repeat=2)]
    return letters[:count]


def _hash(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
