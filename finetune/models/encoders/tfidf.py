"""Texts as TF-IDF vectors of the words of the catalogue itself."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from finetune.data.feature_files import REMEDY, About
from finetune.models.encoders.base import LEARNT, Encoder, Reads
from metrics.common.errors import UserError
from metrics.common.files import one_line, read_json_object, write_text
from metrics.records.json_reader import JsonReader

MOST_WORDS = 4_096


class TfidfEncoder(Encoder):
    """Unit vectors over the catalogue's most frequent words (4,096 at most), weighted as scikit-learn does.

    A text without any of these words is a vector of zeros.
    """

    name = "tfidf"
    reads: Reads = "text"

    def __init__(self) -> None:
        self._vectorizer = TfidfVectorizer(max_features=MOST_WORDS, dtype=np.float32)
        self._learnt: str | None = None

    def about(self) -> About:
        """As every encoder, with a hash of words and weights."""
        digest = hashlib.sha256(self._learnt.encode()).hexdigest()[:8] if self._learnt else None
        return replace(super().about(), weights=digest)

    def fit(self, texts: Iterable[str]) -> None:
        """Learn words and weights. Raises `UserError` if there is no word in the texts."""
        try:
            self._vectorizer.fit(texts)
        except ValueError as error:
            raise UserError(
                f"{self.name}: no word of two letters or more in the texts; choose another --text"
            ) from error
        words = [str(word) for word in self._vectorizer.get_feature_names_out()]
        weights = [float(weight) for weight in self._vectorizer.idf_]
        self._use(words, weights)

    def save(self, folder: Path) -> None:
        """Write `vocabulary.json`: each word with its weight."""
        write_text(folder / LEARNT, self._learnt or "{}")

    def restore(self, folder: Path) -> None:
        """Read `vocabulary.json`. Raises `UserError` if it is missing or damaged."""
        values = JsonReader(read_json_object(folder / LEARNT, REMEDY), str(folder / LEARNT), REMEDY).numbers()
        if not values:
            raise UserError(f"{folder / LEARNT}: expected words with their weights, found none; {REMEDY}")
        self._use(list(values), list(values.values()))

    def without_row(self, texts: Sequence[str]) -> list[int]:
        """The places of texts without any of its words; `fit` or `restore` was called before."""
        words = self._vectorizer.transform(texts).getnnz(axis=1)
        return [int(place) for place in np.flatnonzero(words == 0)]

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, words); `fit` or `restore` was called before."""
        return np.asarray(self._vectorizer.transform(texts).toarray(), dtype=np.float32)

    def _use(self, words: Sequence[str], weights: Sequence[float]) -> None:
        vectorizer = TfidfVectorizer(vocabulary=words, dtype=np.float32)
        vectorizer.idf_ = np.array(weights)
        self._vectorizer, self.shape = vectorizer, (len(words),)
        self._learnt = one_line(json.dumps(dict(zip(words, weights, strict=True)), ensure_ascii=False)) + "\n"
