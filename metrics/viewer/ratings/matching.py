"""Which of the captions of today was rated: the item, the system's name and the caption's digest tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics.records.caption_sets import without_number
from metrics.viewer.ratings.store import Rating, caption_digest

Digests = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Match:
    """The ratings of some captions.

    Attributes:
        ratings: item, rater, blind and the system's name of today to the rating, as it was stored.
        other_captions: how many other ratings are of captions that these systems wrote at another time.
        left_out: how many other ratings are of other items or systems.
    """

    ratings: Mapping[tuple[str, str, bool, str], Rating]
    other_captions: int
    left_out: int


def match(ratings: Sequence[Rating], captions: Mapping[str, Mapping[str, str | None]]) -> Match:
    """Find the captions that ratings are of, each having one of a rater at most, blind or not.

    A system of several folders' has a number behind its name that depends on the folders: of the systems whose names
    differ in it alone, the rating is of the one whose caption was rated. Without a digest, names must be equal.

    Args:
        ratings: in any order.
        captions: item id to system's name to caption.
    """
    digests = {item: {name: caption_digest(text) for name, text in row.items()} for item, row in captions.items()}
    found: dict[tuple[str, str, bool, str], Rating] = {}
    other_captions = left_out = 0
    for one in sorted(ratings, key=lambda one: _rank(one, digests)):
        systems = _systems(one, digests)
        rated = [name for name, digest in systems.items() if one.caption_sha256 in (None, digest)]
        free = [key for name in rated if (key := (one.item, one.rater, one.blind, name)) not in found]
        if free:
            found[free[0]] = one
        elif systems and not rated:
            other_captions += 1
        else:
            left_out += 1
    return Match(found, other_captions, left_out)


def _rank(one: Rating, digests: Digests) -> int:
    """Equal names and captions go first, then equal captions, then unknown ones."""
    if one.caption_sha256 is None:
        return 2
    return int(digests.get(one.item, {}).get(one.system) != one.caption_sha256)


def _systems(one: Rating, digests: Digests) -> dict[str, str]:
    """Return the systems that a rating may be of, the one of its very name first, with their digests."""
    of_item = digests.get(one.item, {})
    names = [one.system] if one.system in of_item else []
    if one.caption_sha256 is not None:
        plain = without_number(one.system)
        names += [name for name in of_item if name != one.system and without_number(name) == plain]
    return {name: of_item[name] for name in names}
