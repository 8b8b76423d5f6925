"""What the measures get: items, their references, and the captions of every system."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.records.caption_sets import CaptionSet
from metrics.records.captions import CaptionRecord
from metrics.text.ngrams import NgramTable
from metrics.text.tokenization import tokenize


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokenised texts: `references` by item, `captions` by system, then by item."""

    references: list[list[str]]
    captions: list[list[str]]


class Corpus:
    """n items, their references, and the captions that S systems wrote for them.

    Attributes:
        items: the reference set, n records without captions.
        systems: the S systems.
        references: the references of each item as they are written, n tuples of one or more.
        captions: by system, the caption of each item as it is written (S lists of n), empty if there is none.
        present: (S, n) whether the system has a caption for the item; one that is missing scores 0.
    """

    def __init__(self, systems: Sequence[CaptionSet], items: Sequence[CaptionRecord]) -> None:
        self.items = items
        self.systems = systems
        self.references = [item.references for item in items]
        self.captions = [[_caption(system, item.id) for item in items] for system in systems]
        self.present: NDArray[np.bool_] = np.array(
            [[item.id in system.captions for item in items] for system in systems]
        )

    @cached_property
    def tokens(self) -> Tokens:
        """All texts after PTB tokenisation; raises `UserError` if it fails."""
        groups = [*self.references, *self.captions]
        tokens = iter(tokenize([text for group in groups for text in group]))
        tokenised = [[next(tokens) for _ in group] for group in groups]
        return Tokens(tokenised[: len(self.items)], tokenised[len(self.items) :])

    @cached_property
    def ngrams(self) -> NgramTable:
        """The n-gram counts of all tokenised texts."""
        groups = (*self.tokens.references, *self.tokens.captions)
        return NgramTable(text for group in groups for text in group)


def _caption(system: CaptionSet, key: str) -> str:
    record = system.captions.get(key)
    return record.caption or "" if record else ""
