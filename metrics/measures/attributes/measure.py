"""Attribute precision and recall: the nouns and adjectives of a vocabulary that a caption shares with its reference.

Definition: the paper's reference implementation (omgwenxx/multimodal-fashion-analysis), MAP and MAR there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metrics.common.errors import UserError
from metrics.measures.attributes import stanza_models
from metrics.measures.attributes.lemmas import Lemmas
from metrics.measures.attributes.vocabulary import Vocabulary, read_vocabulary
from metrics.measures.base import Measure, Measured
from metrics.measures.statistics import Floats, Statistics, mean_of
from metrics.text.corpus import Corpus

Sets = Sequence[frozenset[str]]
_HALLUCINATED = 20


class Attributes(Measure):
    """MAP, MAR and their harmonic mean, by a vocabulary and the models it was made with.

    With several references an item's attributes are those of any of them. An item without any is left out (NaN); a
    missing caption has none, so it scores 0.
    """

    names = ("MAP", "MAR", "Attr-F1")
    work = "torch"

    def __init__(self, vocabulary: Vocabulary | Path, stanza: str = stanza_models.ENGLISH) -> None:
        """Take a vocabulary or its file, and `en` or a folder of models; raises `UserError` if they are damaged."""
        self.vocabulary = read_vocabulary(vocabulary) if isinstance(vocabulary, Path) else vocabulary
        self.tokenizer = f"stanza-{self.vocabulary.pipeline}"
        self.stanza = stanza

    def absent(self) -> str | None:
        """Return what is missing, Stanza or its models."""
        return stanza_models.absent(self.stanza)

    def check(self, corpus: Corpus) -> None:
        """Raise `UserError` when the vocabulary was made by other models."""
        signature = stanza_models.signature(self.stanza)
        if signature != self.vocabulary.pipeline:
            raise UserError(
                f"the vocabulary was made by Stanza {self.vocabulary.pipeline}, but {self.stanza} is "
                f"{signature}; make it again with `lookbook attributes ... --stanza {self.stanza}`"
            )

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Measure every system; every distinct text is parsed once.

        Raises:
            UserError: when no reference has an attribute, or Stanza fails.
        """
        lemmas = Lemmas(self.stanza)
        groups = [*corpus.references, *corpus.captions]
        lemmas_of = lemmas.of(text for group in groups for text in group)
        known = frozenset(self.vocabulary.attributes)
        references = [known & {lemma for text in texts for lemma in lemmas_of[text]} for texts in corpus.references]
        if not any(references):
            raise UserError(
                f"no reference has one of the vocabulary's {len(known)} attributes; is it this catalogue's?"
            )
        return [
            self._measured(references, [known & set(lemmas_of[text]) for text in texts]) for texts in corpus.captions
        ]

    def _measured(self, references: Sets, captions: Sets) -> Measured:
        statistics = precision_recall(references, captions)
        details = {"vocabulary": len(self.vocabulary.attributes), **attribute_table(references, captions)}
        found = [_found(reference, caption) for reference, caption in zip(references, captions, strict=True)]
        return Measured(statistics, (f"vocabulary:{self.vocabulary.signature}",), details, {"attributes": found})


def _found(reference: frozenset[str], caption: frozenset[str]) -> dict[str, list[str]]:
    sets = {"right": reference & caption, "invented": caption - reference, "missed": reference - caption}
    return {name: sorted(words) for name, words in sets.items()}


def precision_recall(references: Sets, captions: Sets) -> dict[str, Statistics]:
    """Return MAP, MAR and Attr-F1 of n captions from their sets of attributes.

    An item's precision is |caption and reference| / |caption|, its recall the same / |reference|, 0 if the
    denominator is 0; items whose reference is empty are NaN. Attr-F1 is the harmonic mean of MAP and MAR.
    """
    precision, recall = np.full((2, len(references)), np.nan)
    for place, (reference, caption) in enumerate(zip(references, captions, strict=True)):
        if reference:
            common = len(reference & caption)
            precision[place] = common / len(caption) if caption else 0.0
            recall[place] = common / len(reference)
    columns = np.column_stack([np.nan_to_num(precision), np.nan_to_num(recall), ~np.isnan(recall)])
    per_item = np.array([_harmonic(*pair) for pair in zip(precision, recall, strict=True)])
    return {
        "MAP": mean_of(precision),
        "MAR": mean_of(recall),
        "Attr-F1": Statistics(per_item, columns, _harmonic_of_means),
    }


def attribute_table(references: Sets, captions: Sets) -> dict[str, Any]:
    """Return the details of the numbers: items left out, and each attribute's own precision and recall."""
    counted = [(reference, caption) for reference, caption in zip(references, captions, strict=True) if reference]
    support = Counter(word for reference, _ in counted for word in reference)
    generated = Counter(word for _, caption in counted for word in caption)
    right = Counter(word for reference, caption in counted for word in reference & caption)
    wrong = generated - right
    rows = [
        {
            "attribute": word,
            "support": support[word],
            "generated": generated[word],
            "precision": right[word] / generated[word] if generated[word] else None,
            "recall": right[word] / support[word] if support[word] else None,
        }
        for word in _most_first(support + generated, support)
    ]
    return {
        "left_out": len(references) - len(counted),
        "per_attribute": rows,
        "never_produced": [word for word in _most_first(support, support) if word not in generated],
        "hallucinated": [
            {"attribute": word, "count": wrong[word]} for word in _most_first(wrong, wrong)[:_HALLUCINATED]
        ],
    }


def _most_first(words: Mapping[str, int], counts: Counter[str]) -> list[str]:
    return sorted(words, key=lambda word: (-counts[word], word))


def _harmonic(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _harmonic_of_means(sums: Floats) -> float:
    precision, recall, count = (float(one) for one in sums)
    return _harmonic(precision / count, recall / count) if count else 0.0
