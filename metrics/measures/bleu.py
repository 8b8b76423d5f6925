"""BLEU-1..4 with the closest reference length, equal to pycocoevalcap's `Bleu(4)` bit for bit.

Formula: pycocoevalcap/bleu/bleu_scorer.py (Papineni et al. 2002), with its guards against division by zero.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import Statistics
from metrics.text.corpus import Corpus
from metrics.text.ngrams import ORDERS, Integers, NgramTable, reference_slots
from metrics.text.tokenization import TOKENIZER

_TINY = 1e-15
_SMALL = 1e-9


def bleu_statistics(
    candidates: Sequence[str], references: Sequence[Sequence[str]], table: NgramTable | None = None
) -> Integers:
    """Return the counts that BLEU adds up, (n, 10), of n tokenised candidates.

    Columns: candidate tokens, tokens of the closest reference, n-grams guessed (n = 1..4), n-grams correct (1..4).
    `table` holds the n-gram counts of all these texts, if known already.

    Raises:
        ValueError: when an item has no reference.
    """
    table = table or NgramTable([*candidates, *(text for texts in references for text in texts)])
    texts = table.numbers(candidates)
    slots = reference_slots(table, references)
    lengths = table.lengths[texts]
    guessed = np.maximum(lengths[:, None] - np.arange(ORDERS), 0)
    correct = _correct(table, texts, slots)
    return np.column_stack([lengths, _closest_lengths(table, lengths, slots), guessed, correct])


def bleu(statistics: Integers | NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return BLEU-1..4 (0..1) of one item's statistics, or of the sum over many: a (10,) array of counts."""
    length, reference_length, *counts = (int(count) for count in statistics)
    ratio = (length + _TINY) / (reference_length + _SMALL)
    penalty = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product = 1.0
    scores = []
    for order in range(ORDERS):
        product *= (counts[ORDERS + order] + _TINY) / (counts[order] + _SMALL)
        scores.append(product ** (1.0 / (order + 1)) * penalty)
    return scores[0], scores[1], scores[2], scores[3]


def bleu_per_item(statistics: Integers) -> NDArray[np.float64]:
    """Return the (n, 4) BLEU-1..4 of each item alone, 0..1."""
    return np.array([bleu(row) for row in statistics], dtype=np.float64).reshape(-1, ORDERS)


class Bleu(Measure):
    """BLEU-1..4 of all systems."""

    names = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4")
    tokenizer = TOKENIZER

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Count n-grams once for all orders; a missing caption counts as an empty one."""
        measured = []
        for system, captions, present in zip(corpus.systems, corpus.tokens.captions, corpus.present, strict=True):
            counts = bleu_statistics(captions, corpus.tokens.references, corpus.ngrams)
            per_item = np.where(present[:, None], bleu_per_item(counts), 0.0)
            columns = counts.astype(np.float64)
            measured.append(
                Measured(
                    {
                        name: Statistics(per_item[:, order], columns, partial(_bleu_of_order, order))
                        for order, name in enumerate(self.names)
                    },
                    details=_details(system.name, int(counts[:, 0].max(initial=0))),
                )
            )
        return measured


def _details(system: str, longest: int) -> dict[str, str]:
    """What to know of a system whose `longest` caption has too few words for some of the measures."""
    if not 0 < longest < ORDERS:
        return {}
    names = ", ".join(Bleu.names[longest:])
    return {"warning": f"{names} of {system}: 0, since its longest caption has {longest} word(s)."}


def _bleu_of_order(order: int, sums: NDArray[np.float64]) -> float:
    return bleu(sums)[order]


def _closest_lengths(table: NgramTable, lengths: Integers, slots: list[tuple[Integers, Integers]]) -> Integers:
    far = np.iinfo(np.int64).max
    closest = np.full(len(lengths), far)
    distance = np.full(len(lengths), far)
    for items, texts in slots:
        candidate = table.lengths[texts]
        gap = np.abs(candidate - lengths[items])
        better = (gap < distance[items]) | ((gap == distance[items]) & (candidate < closest[items]))
        closest[items] = np.where(better, candidate, closest[items])
        distance[items] = np.where(better, gap, distance[items])
    return closest


def _correct(table: NgramTable, texts: Integers, slots: list[tuple[Integers, Integers]]) -> Integers:
    correct = np.zeros((len(texts), ORDERS), dtype=np.int64)
    for order, counts in enumerate(table.orders):
        item, entry = counts.entries(texts)
        allowed = np.zeros(len(item), dtype=np.int64)
        for items, reference in slots:
            of_item = np.full(len(texts), -1)
            of_item[items] = reference
            has = np.flatnonzero(of_item[item] >= 0)
            match = counts.find(of_item[item[has]], counts.gram[entry[has]])
            allowed[has] = np.maximum(allowed[has], np.where(match >= 0, counts.count[match], 0))
        np.add.at(correct[:, order], item, np.minimum(counts.count[entry], allowed))
    return correct
