"""ROUGE-L with beta 1.2, equal to pycocoevalcap's `Rouge` bit for bit.

Formula: pycocoevalcap/rouge/rouge.py (Lin and Och 2004): best precision and best recall over the references.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import mean_of
from metrics.text.corpus import Corpus
from metrics.text.ngrams import numbered
from metrics.text.tokenization import TOKENIZER

_BETA = 1.2


def rouge_per_item(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return ROUGE-L (0..1) of each of n tokenised candidates, (n,); the corpus value is their mean.

    Tokens are split at single spaces, so the empty caption is one empty token: it scores 1 against an empty
    reference and 0 against any other.

    Raises:
        ValueError: when an item has no reference.
    """
    numbers = numbered()
    sequences: dict[str, list[int]] = {}

    def sequence(text: str) -> list[int]:
        if text not in sequences:
            sequences[text] = list(map(numbers.__getitem__, text.split(" ")))
        return sequences[text]

    scores = [
        _score(sequence(candidate), [sequence(text) for text in texts])
        for candidate, texts in zip(candidates, references, strict=True)
    ]
    return np.array(scores, dtype=np.float64)


class RougeL(Measure):
    """ROUGE-L of all systems."""

    names = ("ROUGE-L",)
    tokenizer = TOKENIZER

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Score every caption; a missing one scores 0 even against an empty reference."""
        tokens = corpus.tokens
        values = [rouge_per_item(captions, tokens.references) for captions in tokens.captions]
        masked = np.where(corpus.present, values, 0.0)
        return [Measured({"ROUGE-L": mean_of(per_item)}) for per_item in masked]


def _score(candidate: list[int], references: list[list[int]]) -> float:
    if not references:
        raise ValueError("an item has no reference")
    common = [LCSseq.similarity(reference, candidate) for reference in references]
    precision = max(length / float(len(candidate)) for length in common)
    recall = max(length / float(len(reference)) for length, reference in zip(common, references, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return ((1 + _BETA**2) * precision * recall) / float(recall + _BETA**2 * precision)
