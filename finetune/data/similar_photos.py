"""Photos that look alike: difference hashes that differ in two bits at most, found without comparing all pairs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.int64]
Places = NDArray[np.int64]
_FLIPS = np.array([0, *(1 << bit for bit in range(63)), -1 << 63], dtype=np.int64)
_MOST_AT_ONCE = 2**25  # 0.3 GB each of numbers and their owners


def neighbourhoods(hashes: Hashes) -> Iterator[tuple[Places, Places]]:
    """Yield positions in `hashes` (n,), distinct ones, group after group, and where in them each group begins.

    The hashes of a group become one number when one bit of each is changed, or none: any two of a group differ in two
    bits at most, and any two that do are in a group. Work and memory grow with n, however many look alike.
    """
    parts = 1 + len(hashes) * len(_FLIPS) // _MOST_AT_ONCE
    for part in range(parts):
        numbers, owners = _changed(hashes, part, parts)
        order = np.argsort(numbers, kind="stable")
        _, sizes = np.unique(numbers, return_counts=True)
        several = sizes > 1
        yield owners[order][np.repeat(several, sizes)], np.cumsum(np.r_[0, sizes[several]])[:-1]


def _changed(hashes: Hashes, part: int, parts: int) -> tuple[Hashes, Places]:
    """The hashes with each bit changed or none, and whose they are, as far as they belong to a part of all numbers."""
    numbers, owners = [], []
    for flip in _FLIPS:
        changed = hashes ^ flip
        places = np.flatnonzero(changed % parts == part)
        numbers.append(changed[places])
        owners.append(places)
    return np.concatenate(numbers), np.concatenate(owners)


@dataclass(frozen=True)
class PhotoCounts:
    """How many items share their photo with others (`shared`), or have one that only looks like another (`similar`).

    `similar_to_training`: items of the test split whose photo is not in training, but looks like one of training.
    """

    shared: int = 0
    similar: int = 0
    similar_to_training: int = 0


def count_photos(parts: Mapping[str, pd.DataFrame]) -> PhotoCounts:
    """Count over all parts, each with the columns `photo_digest` and `difference_hash`."""
    photos = pd.concat([part[["photo_digest", "difference_hash"]] for part in parts.values()])
    train, test = parts["train"], parts["test"]
    is_another = ~test["photo_digest"].isin(train["photo_digest"]).to_numpy()
    looks_trained = similar_to(test["difference_hash"], train["difference_hash"])
    return PhotoCounts(
        shared=int(photos["photo_digest"].duplicated(keep=False).sum()),
        similar=int(photos["difference_hash"].isin(_alike(photos)).sum()),
        similar_to_training=int((looks_trained & is_another).sum()),
    )


def _alike(photos: pd.DataFrame) -> Hashes:
    """The hashes that different photos have, or that differ little from another one."""
    distinct = photos.drop_duplicates("photo_digest")["difference_hash"].to_numpy()
    hashes, counts = np.unique(distinct, return_counts=True)
    alike: Hashes = np.concatenate([hashes[counts > 1], *(hashes[owners] for owners, _ in neighbourhoods(hashes))])
    return alike


def similar_to(hashes: Iterable[int], others: Iterable[int]) -> NDArray[np.bool_]:
    """For each hash, whether any of the others is equal or differs in two bits at most."""
    ours, theirs = (np.array(list(given), dtype=np.int64) for given in (hashes, others))
    distinct, places = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    is_there = np.zeros(len(distinct), dtype=bool)
    is_there[places[len(ours) :]] = True
    similar = is_there.copy()
    for owners, starts in neighbourhoods(distinct):
        if len(starts):
            has_one = np.logical_or.reduceat(is_there[owners], starts)
            similar[owners[np.repeat(has_one, np.diff(np.r_[starts, len(owners)]))]] = True
    found: NDArray[np.bool_] = similar[places[: len(ours)]]
    return found


def similar_groups(hashes: Iterable[int], largest: int) -> list[int]:
    """A group's number for each of n photos: photos that look alike, through others too, but `largest` at most.

    Groups are joined in a fixed order, unless they would have more than `largest` photos. A hash that more of them
    share says nothing: these are alone.
    """
    distinct, places, sizes = np.unique(np.array(list(hashes), dtype=np.int64), return_inverse=True, return_counts=True)
    members = {group: [group] for group in range(len(distinct))}
    group_of = list(range(len(distinct)))
    for owners, starts in neighbourhoods(distinct):
        pairs = np.delete(np.column_stack([owners[:-1], owners[1:]]), starts[1:] - 1, axis=0)
        for pair in np.unique(pairs, axis=0).tolist():
            one, other = sorted(group_of[place] for place in pair)
            if one != other and sizes[members[one]].sum() + sizes[members[other]].sum() <= largest:
                members[one] += members.pop(other)
                for place in members[one]:
                    group_of[place] = one
    return [group_of[place] if sizes[place] <= largest else -1 - row for row, place in enumerate(places.tolist())]
