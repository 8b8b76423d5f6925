"""METEOR 1.5, equal to pycocoevalcap's `Meteor` bit for bit: alignments by the official jar, the rest here.

Formula: Denkowski and Lavie 2014, as in the jar's MeteorScorer.computeMetrics; parameters of English, task "rank".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from metrics.common.errors import UserError
from metrics.measures.base import Measure, Measured
from metrics.measures.meteor.aligner import Segments, align, powers
from metrics.measures.statistics import Floats, Statistics
from metrics.text.corpus import Corpus
from metrics.text.tokenization import TOKENIZER

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
WEIGHTS = (1.0, 0.6, 0.8, 0.6)  # exact, stem, synonym, paraphrase
# Columns: length of test and reference, function words of both; for each module content words matched in test and
# reference, function words in both; chunks; words matched in test and reference.
_CHUNKS, _TEST_WORDS, _REFERENCE_WORDS = 20, 21, 22
_JAVA_SPACE = "".join(map(chr, range(0x21)))  # what String.trim takes off
_BEAM = 40
_SHORT = 500
_MOST_COPIED, _MOST_AT_ONCE = 200e9, 1e9
Powers = Mapping[tuple[float, float], float]


class Meteor(Measure):
    """METEOR of all systems."""

    names = ("METEOR",)
    tokenizer = TOKENIZER
    work = "programs"

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Align every caption; a missing one counts as empty: it scores 0 and its references count."""
        references = corpus.tokens.references
        lines = [
            _segments(caption, texts)
            for captions in corpus.tokens.captions
            for caption, texts in zip(captions, references, strict=True)
        ]
        _refuse_repetitive(corpus, lines)
        columns = additive(align(lines)).reshape(len(corpus.systems), len(corpus.items), -1)
        known = powers(_ratios(corpus, columns), BETA)
        return [
            Measured(
                {"METEOR": Statistics(meteor(of_system, known), of_system, partial(_of_sums, known))},
                ("jar:1.5",),
            )
            for of_system in columns
        ]


def additive(statistics: Floats) -> Floats:
    """Return METEOR's statistics, (n, 23), as the jar adds them up: without the chunk of a perfect match."""
    test, reference = statistics[:, 4:20:2].sum(axis=1), statistics[:, 5:20:2].sum(axis=1)
    perfect = (test == statistics[:, 0]) & (reference == statistics[:, 1]) & (statistics[:, _CHUNKS] == 1)
    columns = statistics.copy()
    columns[perfect, _CHUNKS] = 0
    return columns


def meteor(columns: Floats, known: Powers) -> Floats:
    """Return METEOR (0..1), (n,), of n rows of sums of `additive` statistics, (n, 23).

    `known` are the powers that Java computed, by chunks and twice the matches; the C library rounds some differently.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = _matched(columns[:, 4:20:4], columns[:, 6:20:4]) / _weighed(columns[:, 0], columns[:, 2])
        recall = _matched(columns[:, 5:20:4], columns[:, 7:20:4]) / _weighed(columns[:, 1], columns[:, 3])
        mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
    penalty = GAMMA * np.array([_power(known, *ratio) for ratio in _chunks_and_words(columns)])
    score = mean * (1.0 - penalty)
    return np.where(np.isnan(score), 0.0, np.maximum(score, 0.0))


def _of_sums(known: Powers, sums: Floats) -> float:
    return float(meteor(sums[None], known)[0])


def _segments(caption: str, references: Sequence[str]) -> Segments:
    """Return references and hypothesis as the jar reads them out of the line that pycocoevalcap writes for it."""
    hypothesis = caption.replace("|||", "").replace("  ", " ")
    return tuple(part.strip(_JAVA_SPACE) for part in " ||| ".join((*references, hypothesis)).split("|||"))


def _refuse_repetitive(corpus: Corpus, lines: Sequence[Segments]) -> None:
    """Refuse captions with which the jar would run out of memory or for many minutes."""
    for number, (*references, hypothesis) in enumerate(lines):
        for reference in references if len(hypothesis) > _SHORT else ():
            copied, at_once = _copied(hypothesis.split(), reference.split())
            if copied > _MOST_COPIED or at_once > _MOST_AT_ONCE:
                system, item = divmod(number, len(corpus.items))
                name, words = corpus.systems[system].name, len(hypothesis.split())
                raise UserError(
                    f"{name}: the caption of item {corpus.items[item].id!r}, {words} words, repeats those of its "
                    f"reference too often: METEOR's aligner would copy {copied / 1e9:.0f} GB, {at_once / 1e9:.1f} GB "
                    "of them at once; shorten the caption"
                )


def _copied(test: list[str], reference: list[str]) -> tuple[int, int]:
    """Return how many bytes the aligner's beam copies to match equal words: in all, and for one word of the reference.

    Each of `_BEAM` partial alignments is copied for every place of the word in the test, with a byte for every word of
    the test, and five for every one of the reference.
    """
    counts = Counter(test)
    places = [counts[word] for word in reference]
    copy = _BEAM * (len(test) + 5 * len(reference))
    return copy * sum(places), copy * max(places, default=0)


def _matched(content: Floats, function: Floats) -> Floats:
    total = np.zeros(len(content))
    for module, weight in enumerate(WEIGHTS):
        total = total + content[:, module] * weight * DELTA
    for module, weight in enumerate(WEIGHTS):
        total = total + function[:, module] * weight * (1.0 - DELTA)
    return total


def _weighed(length: Floats, function: Floats) -> Floats:
    weighed: Floats = DELTA * (length - function) + (1.0 - DELTA) * function
    return weighed


def _chunks_and_words(columns: Floats) -> list[tuple[float, float]]:
    words = (columns[:, _TEST_WORDS] + columns[:, _REFERENCE_WORDS]) / 2.0
    return list(zip(columns[:, _CHUNKS].tolist(), words.tolist(), strict=True))


def _power(known: Powers, chunks: float, words: float) -> float:
    if not words or not chunks:
        return 0.0  # if no word matches, the score is 0 whatever the penalty
    power = known.get((chunks, words))
    return power if power is not None else float((chunks / words) ** BETA)


def _ratios(corpus: Corpus, columns: Floats) -> list[tuple[float, float]]:
    """Return the (chunks, matches) whose powers are needed: of each item, of all, of the seen and of the unseen."""
    seen = np.array([item.seen for item in corpus.items], dtype=object)
    slices = [of_system[chosen] for of_system in columns for chosen in (slice(None), seen == True, seen == False)]  # noqa: E712
    rows = np.concatenate([columns.reshape(-1, columns.shape[-1]), [part.sum(axis=0) for part in slices]])
    return [(chunks, words) for chunks, words in dict.fromkeys(_chunks_and_words(rows)) if chunks and words]
