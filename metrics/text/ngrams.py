"""n-gram counts of many captions at once, in the order in which the official scorers add them up."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDERS = 4
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """The n-grams of one order: E distinct (text, n-gram) pairs, by text, then by first place in it.

    Attributes:
        text: (E,) index of the text.
        gram: (E,) index of the n-gram.
        count: (E,) how often the text has it.
        start: (T + 1,) where each text's entries begin.
        grams: how many distinct n-grams there are.
        keys: (E,) `text * grams + gram`, ascending.
        place: (E,) entry of each key.
    """

    text: Integers
    gram: Integers
    count: Integers
    start: Integers
    grams: int
    keys: Integers
    place: Integers

    def entries(self, texts: Integers) -> tuple[Integers, Integers]:
        """Return (owner, entry): for each of `texts` (P,) all its entries in order; owner counts within 0..P-1."""
        sizes = self.start[texts + 1] - self.start[texts]
        owner = np.repeat(np.arange(len(texts)), sizes)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return owner, self.start[texts][owner] + within

    def find(self, texts: Integers, grams: Integers) -> Integers:
        """Return the entry of each (text, n-gram), -1 if the text does not have it."""
        wanted = texts * self.grams + grams
        if not len(self.keys):
            return np.full(len(wanted), -1)
        slot = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[slot] == wanted, self.place[slot], -1)


def numbered() -> dict[str, int]:
    """Return a dictionary that assigns the next number, from 0, to each new key."""
    return defaultdict(itertools.count().__next__)


class NgramTable:
    """Counts of all n-grams of 1 to 4 tokens in a set of tokenised texts, split at white space.

    Attributes:
        index: text to its number, T distinct texts.
        lengths: (T,) tokens of each text.
        orders: the counts, one `OrderCounts` for each n.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.index = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        words = numbered()
        flat: list[int] = []
        lengths: list[int] = []
        for text in self.index:
            tokens = text.split()
            lengths.append(len(tokens))
            flat.extend(map(words.__getitem__, tokens))
        self.lengths = np.array(lengths, dtype=np.int64)
        self.orders = _count_orders(np.array(flat, dtype=np.int64), self.lengths, len(words))

    def numbers(self, texts: Sequence[str]) -> Integers:
        """Return the index of each text (P,); every one must be in the table."""
        return np.array([self.index[text] for text in texts], dtype=np.int64)


def reference_slots(table: NgramTable, references: Sequence[Sequence[str]]) -> list[tuple[Integers, Integers]]:
    """Return, for the first, second, ... reference, (items that have it, their text): arrays of equal length.

    Raises:
        ValueError: when an item has no reference.
    """
    if not all(references):
        raise ValueError(f"item {next(i for i, r in enumerate(references) if not r)} has no reference")
    slots = []
    for slot in range(max(map(len, references), default=0)):
        items = [item for item, texts in enumerate(references) if len(texts) > slot]
        slots.append((np.array(items, dtype=np.int64), table.numbers([references[item][slot] for item in items])))
    return slots


def _count_orders(words: Integers, lengths: Integers, vocabulary: int) -> tuple[OrderCounts, ...]:
    owner = np.repeat(np.arange(len(lengths)), lengths)
    end = np.cumsum(lengths)
    start = np.arange(len(words))
    gram, grams = words, vocabulary
    orders = [_count(owner, gram, grams, len(lengths))]
    for order in range(2, ORDERS + 1):
        fits = start + order <= end[owner[start]]
        start = start[fits]
        pairs = gram[fits] * vocabulary + words[start + order - 1]
        distinct, gram = np.unique(pairs, return_inverse=True)
        grams = len(distinct)
        orders.append(_count(owner[start], gram, grams, len(lengths)))
    return tuple(orders)


def _count(text: Integers, gram: Integers, grams: int, texts: int) -> OrderCounts:
    keys, first, times = np.unique(text * grams + gram, return_index=True, return_counts=True)
    is_first = np.zeros(len(text), dtype=np.bool_)
    is_first[first] = True
    place = np.cumsum(is_first)[first] - 1
    count = np.empty_like(times)
    count[place] = times
    start = np.searchsorted(text[is_first], np.arange(texts + 1))
    return OrderCounts(text[is_first], gram[is_first], count, start, grams, keys, place)
