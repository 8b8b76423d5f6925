"""Which item of the meta file a caption describes: the repair of FACAD's test attributes.

The rule is the one of omgwenxx/multimodal-fashion-analysis, which compares every caption with every item in hours; an
inverted index finds the same items in a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.common.screen import progress


@dataclass(frozen=True)
class Matches:
    """For each caption the best item's place (-1 where no word is shared) and the overlap, both arrays (captions,)."""

    items: np.ndarray
    overlaps: np.ndarray


def best_matches(captions: Sequence[str], descriptions: Sequence[str]) -> Matches:
    """The description that shares most words with each caption; the first one of those that share as many.

    The overlap of a caption of L words is the share of its distinct words which are among the first L words of the
    description, all in lower case.
    """
    index = _Index(captions, descriptions)
    items = np.full(len(captions), -1, dtype=np.int64)
    overlaps = np.zeros(len(captions))
    for place, caption in enumerate(progress(captions, "repairing test attributes", disable=len(captions) < 1000)):
        words = caption.lower().split()
        shared = index.shared(set(words), len(words))
        best = int(shared.argmax()) if len(shared) else 0
        if len(shared) and shared[best]:
            items[place], overlaps[place] = best, shared[best] / len(set(words))
    return Matches(items, overlaps)


class _Index:
    """For every word of the captions the descriptions that hold it, ordered by its first place in them."""

    def __init__(self, captions: Sequence[str], descriptions: Sequence[str]) -> None:
        split = [caption.lower().split() for caption in captions]
        self._codes = {word: code for code, word in enumerate(sorted({word for words in split for word in words}))}
        self._descriptions = len(descriptions)
        longest = max(map(len, split), default=0)
        entries = [entry for item, text in enumerate(descriptions) for entry in self._entries(item, text, longest)]
        codes, places, items = np.array(entries, dtype=np.int64).reshape(-1, 3).T
        order = np.lexsort((items, places, codes))
        self._places, self._items = places[order], items[order]
        self._starts = np.searchsorted(codes[order], np.arange(len(self._codes) + 1))

    def _entries(self, item: int, text: str, longest: int) -> list[tuple[int, int, int]]:
        first: dict[str, int] = {}
        for place, word in enumerate(text.lower().split()[:longest]):
            first.setdefault(word, place)
        return [(self._codes[word], place, item) for word, place in first.items() if word in self._codes]

    def shared(self, words: set[str], length: int) -> np.ndarray:
        """How many of the words are among the first `length` words of each description, ints (descriptions,)."""
        holding = [self._holding(self._codes[word], length) for word in words]
        return np.bincount(np.concatenate([np.empty(0, dtype=np.int64), *holding]), minlength=self._descriptions)

    def _holding(self, code: int, length: int) -> np.ndarray:
        start, end = self._starts[code], self._starts[code + 1]
        return self._items[start : start + np.searchsorted(self._places[start:end], length)]
