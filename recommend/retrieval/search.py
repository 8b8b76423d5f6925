"""The paper's score: the cosine between a text and the difference of two photos, without making the differences.

For a text q of length one, a reference r and every photo t of a gallery

    score = (t.q - r.q) / sqrt(|t|^2 + |r|^2 - 2 t.r)

(Jeong 2022, section 4.2: "calculates the difference between all the embedded images and input image").
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError

Floats = NDArray[np.float64]
_NEAR = 1e-6  # |t-r|^2 / (|t|^2 + |r|^2) below which the formula for it loses too many digits


class Gallery:
    """Photos to search, and their vectors (n, d) with what every query needs of them, in double precision."""

    def __init__(self, ids: Sequence[str], vectors: NDArray[np.floating]) -> None:
        self.ids, self.vectors = list(ids), np.asarray(vectors, dtype=np.float64)
        self.places = {key: place for place, key in enumerate(self.ids)}
        self.squares: Floats = np.einsum("nd,nd->n", self.vectors, self.vectors)

    def __len__(self) -> int:
        return len(self.ids)

    def scores(self, reference: NDArray[np.floating], text: NDArray[np.floating]) -> Floats:
        """The score (n,) of each photo, -1 to 1, for a reference (d,) and a text (d,) of any length above 0.

        A photo that equals the reference has no difference: its score is 0. The few that nearly equal it are
        subtracted, since the formula would lose their digits. Raises `UserError` if the text has no direction.
        """
        origin, direction = np.asarray(reference, np.float64), unit(text)
        along, across = (self.vectors @ np.column_stack([direction, origin])).T
        numerators = along - origin @ direction
        lengths = self.squares + origin @ origin
        squared = lengths - 2 * across
        near = np.flatnonzero(squared <= _NEAR * lengths)
        differences = self.vectors[near] - origin
        numerators[near] = differences @ direction
        squared[near] = np.einsum("nd,nd->n", differences, differences)
        zero = squared <= 0
        scores = numerators / np.sqrt(np.where(zero, 1.0, squared))
        return np.where(zero, 0.0, np.clip(scores, -1.0, 1.0))


def unit(vector: NDArray[np.floating]) -> Floats:
    """A vector (d,) with length one. Raises `UserError` for one of zeros."""
    values = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(values))
    if not length:
        raise UserError("the text becomes a vector of zeros, as no word of it is known; use other words")
    return np.asarray(values / length)


def best(scores: Floats, k: int) -> NDArray[np.int64]:
    """The places of the k highest scores, best first, equal ones in the gallery's order."""
    return np.argsort(-scores, kind="stable")[:k].astype(np.int64)


def rank_of(scores: Floats, place: int) -> int:
    """Where a photo comes in that order, from 1."""
    score = scores[place]
    return 1 + int((scores > score).sum()) + int((scores[:place] == score).sum())
