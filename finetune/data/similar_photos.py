"""Photos that look alike: difference hashes that differ in two bits at most, found by bands without comparing all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.int64]
_QUARTERS = [np.int64(0xFFFF << shift) for shift in (0, 16, 32)] + [np.int64(-1 << 48)]
# Two bits are in two quarters at most, so that photos that look alike have the two others in common.
_BANDS = [one | other for one, other in combinations(_QUARTERS, 2)]


def similar_pairs(hashes: Hashes) -> NDArray[np.int64]:
    """Positions (m, 2) of all pairs of distinct hashes (n,) that differ in one or two bits, in ascending order.

    Raises `ValueError` if a hash is repeated: an empty photo, say, would make pairs of all its copies.
    """
    if len(np.unique(hashes)) < len(hashes):
        raise ValueError("expected each hash once")
    found = [np.empty((0, 2), dtype=np.int64), *(pairs for band in _BANDS for pairs in _pairs_in_band(hashes, band))]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _pairs_in_band(hashes: Hashes, band: np.int64) -> Iterable[NDArray[np.int64]]:
    """The pairs whose bits of the band are equal: each hash, sorted by these bits, with the next, the one after, ..."""
    order = np.argsort(hashes & band, kind="stable")
    bits = (hashes & band)[order]
    starts, step = np.arange(len(order)), 1
    while len(starts := starts[starts + step < len(order)]):
        starts = starts[bits[starts] == bits[starts + step]]
        pairs = np.column_stack([order[starts], order[starts + step]])
        yield pairs[_two_bits_at_most(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])]
        step += 1


def _two_bits_at_most(bits: Hashes) -> NDArray[np.bool_]:
    without_lowest = bits & (bits - 1)
    few: NDArray[np.bool_] = (without_lowest & (without_lowest - 1)) == 0
    return few


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
    """The hashes that different photos have, and those with a pair."""
    distinct = photos.drop_duplicates("photo_digest")["difference_hash"].to_numpy()
    hashes, counts = np.unique(distinct, return_counts=True)
    alike: Hashes = np.concatenate([hashes[counts > 1], hashes[similar_pairs(hashes).ravel()]])
    return alike


def similar_to(hashes: Iterable[int], others: Iterable[int]) -> NDArray[np.bool_]:
    """For each hash, whether any of the others is equal or differs in two bits at most."""
    ours, theirs = (np.array(list(given), dtype=np.int64) for given in (hashes, others))
    distinct, places = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    is_there = np.zeros(len(distinct), dtype=bool)
    is_there[places[len(ours) :]] = True
    one, other = similar_pairs(distinct).T
    similar = is_there.copy()
    similar[one[is_there[other]]] = True
    similar[other[is_there[one]]] = True
    found: NDArray[np.bool_] = similar[places[: len(ours)]]
    return found


def similar_groups(hashes: Iterable[int], largest: int) -> list[int]:
    """A group's number for each of n photos: photos that look alike, through others too, but `largest` at most.

    Pairs are joined in the order of their hashes, unless their group would have more than `largest` photos. A hash that
    more of them share says nothing: these are alone.
    """
    distinct, places, sizes = np.unique(np.array(list(hashes), dtype=np.int64), return_inverse=True, return_counts=True)
    members = {group: [group] for group in range(len(distinct))}
    group_of = list(range(len(distinct)))
    for pair in similar_pairs(distinct).tolist():
        one, other = sorted(group_of[place] for place in pair)
        if one != other and sizes[members[one]].sum() + sizes[members[other]].sum() <= largest:
            members[one] += members.pop(other)
            for place in members[one]:
                group_of[place] = one
    return [group_of[place] if sizes[place] <= largest else -1 - row for row, place in enumerate(places.tolist())]
