"""CIDEr-D (sigma 6), equal to pycocoevalcap's `Cider` bit for bit.

Formula: pycocoevalcap/cider/cider_scorer.py (Vedantam et al. 2015). Its sums are added in its order (`np.bincount` adds
from left to right), and weights are made by its scalar operations: numpy's scalar power and its array power differ.
"""

from collections.abc import Sequence

import numpy as np

from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import Floats, mean_of
from metrics.text.corpus import Corpus
from metrics.text.ngrams import ORDERS, Integers, NgramTable, OrderCounts, reference_slots
from metrics.text.tokenization import TOKENIZER

_SIGMA = 6.0


class Cider(Measure):
    """CIDEr-D of all systems; every slice keeps the document frequencies of the whole test set."""

    names = ("CIDEr",)
    tokenizer = TOKENIZER
    needs_whole_corpus = True  # for its document frequencies

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Weigh n-grams once by the references, then score every caption."""
        scorer = CiderScorer(corpus.tokens.references, corpus.ngrams)
        values = [scorer.per_item(captions) for captions in corpus.tokens.captions]
        masked = np.where(corpus.present, values, 0.0)
        signature, details = (f"df:{len(corpus.items)}",), _details(scorer.weightless(), len(corpus.items))
        return [Measured({"CIDEr": mean_of(per_item)}, signature, details) for per_item in masked]


def _details(weightless: int, items: int) -> dict[str, str]:
    if not weightless:
        return {}
    return {
        "warning": f"CIDEr is 0 for {weightless:,} of {items:,} items whatever their captions are: each word of their "
        "references is in the references of every item, so that its weight, log(items / items with the word), is 0."
    }


class CiderScorer:
    """CIDEr-D against one corpus of references, from which the document frequencies come.

    Give the references of the whole test split; the score of a slice is the mean of its items' values.

    Raises:
        ValueError: when an item has no reference.
    """

    def __init__(self, references: Sequence[Sequence[str]], table: NgramTable) -> None:
        self._table = table
        self._items = len(references)
        self._slots = reference_slots(table, references)
        self._counts = np.array([len(texts) for texts in references], dtype=np.int64)
        log_items = np.log(float(self._items)) if self._items else np.float64(0)
        frequencies = [_document_frequencies(counts, self._slots) for counts in table.orders]
        weighted = [_weigh(*pair, log_items) for pair in zip(table.orders, frequencies, strict=True)]
        self._weights = [weights for weights, _ in weighted]
        self._norms = [norms for _, norms in weighted]

    def per_item(self, candidates: Sequence[str]) -> Floats:
        """Return CIDEr-D (0..10) of each item's tokenised candidate, (n,), in the order of the references."""
        texts = self._table.numbers(candidates)
        totals = np.zeros((self._items, ORDERS))
        for items, references in self._slots:
            penalty = _length_penalty(self._bigrams(texts[items]) - self._bigrams(references))
            for order in range(ORDERS):
                totals[items, order] += self._similarity(order, texts[items], references) * penalty
        total = totals[:, 0] + totals[:, 1] + totals[:, 2] + totals[:, 3]
        return total / ORDERS / self._counts * 10.0

    def weightless(self) -> int:
        """Count the items that any caption scores 0 for, since no n-gram of their references is rare."""
        has_weight = np.zeros(self._items, dtype=np.bool_)
        for items, texts in self._slots:
            has_weight[items] |= (self._table.lengths[texts] == 0) | np.any(
                [norm[texts] for norm in self._norms], axis=0
            )
        return int((~has_weight).sum())

    def _similarity(self, order: int, texts: Integers, references: Integers) -> Floats:
        counts, weights, norms = self._table.orders[order], self._weights[order], self._norms[order]
        pair, entry = counts.entries(texts)
        matches = counts.find(references[pair], counts.gram[entry])
        shared = matches >= 0
        theirs = weights[matches[shared]]
        products = np.minimum(weights[entry[shared]], theirs) * theirs
        dot = _sum_in_order(pair[shared], products, len(texts))
        scale = norms[texts] * norms[references]
        return np.divide(dot, scale, out=dot, where=(norms[texts] != 0) & (norms[references] != 0))

    def _bigrams(self, texts: Integers) -> Integers:
        return np.maximum(self._table.lengths[texts] - 1, 0)


def _document_frequencies(counts: OrderCounts, slots: list[tuple[Integers, Integers]]) -> Integers:
    """Count for each n-gram, (grams,), the items whose references contain it."""
    pairs = [np.zeros(0, dtype=np.int64)]
    for items, texts in slots:
        owner, entry = counts.entries(texts)
        pairs.append(items[owner] * counts.grams + counts.gram[entry])
    ordered = np.sort(np.concatenate(pairs), kind="stable")  # numpy's hashing `unique` takes minutes on such numbers
    distinct = ordered[np.diff(ordered, prepend=-1) > 0]
    return np.bincount(distinct % max(counts.grams, 1), minlength=counts.grams)


def _weigh(counts: OrderCounts, frequency: Integers, log_items: np.float64) -> tuple[Floats, Floats]:
    """Return the TF-IDF weight of each entry, (E,), and the norm of each text, (T,)."""
    documents, rarity = np.unique(frequency, return_inverse=True)
    pair = counts.count * len(documents) + rarity[counts.gram]
    pairs = np.flatnonzero(np.bincount(pair))
    kind = np.searchsorted(pairs, pair)
    counted = zip(pairs // len(documents), documents[pairs % len(documents)], strict=True)
    weights = [float(times) * (log_items - np.log(max(1.0, float(items)))) for times, items in counted]
    squares = np.array([pow(weight, 2) for weight in weights], dtype=np.float64)
    texts = len(counts.start) - 1
    norms = np.sqrt(_sum_in_order(counts.text, squares[kind], texts))
    return np.array(weights, dtype=np.float64)[kind], norms


def _sum_in_order(owner: Integers, values: Floats, owners: int) -> Floats:
    """Sum the values of each owner, (owners,), from left to right."""
    return np.bincount(owner, weights=values, minlength=owners).astype(np.float64)


def _length_penalty(difference: Integers) -> Floats:
    values, inverse = np.unique(difference, return_inverse=True)
    penalties = [np.e ** (-(float(delta) ** 2) / (2 * _SIGMA**2)) for delta in values]
    return np.array(penalties, dtype=np.float64)[inverse]
