"""Batches of BPR: a customer, an article bought, and one not bought, from random numbers that the step's number fixes.

Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009, section 4.2, by shuffled
purchases or by customers, without any state between steps, so that a training can start anywhere.
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.recommenders.vbpr.settings import VBPRSettings

Places = NDArray[np.int64]
Triples = tuple[Places, Places, Places]


class Sampler:
    """Draws batches from the purchases of a binary matrix (U, I).

    An article not bought is one that another customer bought: what nobody bought has no factors to be trained.

    Attributes:
        count: purchases that can be drawn, each customer's articles once.
        left_out: purchases of customers who bought every article, for whom there is none not bought.
    """

    def __init__(self, matrix: scipy.sparse.csr_matrix, settings: VBPRSettings) -> None:
        """Raises `UserError` if there is nothing to draw."""
        self.settings, self.batch_size, self.seed = settings, settings.batch_size, settings.seed
        self._width = matrix.shape[1]
        self._sold = np.unique(matrix.indices).astype(np.int64)
        degrees = np.diff(matrix.indptr)
        self._keys = np.repeat(np.arange(len(degrees)), degrees) * np.int64(self._width) + matrix.indices
        drawn = np.repeat(degrees < len(self._sold), degrees)
        self.left_out = int(len(drawn) - drawn.sum())
        self._positives = self._keys[drawn] if self.left_out else self._keys
        self.count = len(self._positives)
        if not self.count:
            raise UserError("vbpr: expected a customer who bought some of the articles and not all, found none")
        self._customers = np.flatnonzero((degrees > 0) & (degrees < len(self._sold)))
        self._starts, self._degrees = matrix.indptr[self._customers].astype(np.int64), degrees[self._customers]

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return -(-self.count // self.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Triples]:
        """The batches of an epoch from `first_step` on: customers, articles bought and not bought, (B,) each."""
        order = (
            np.random.default_rng([self.seed, epoch]).permutation(self.count)
            if self.settings.draw == "purchases"
            else None
        )
        for step in range(first_step, self.steps):
            random = np.random.default_rng([self.seed, epoch, step])
            size = min(self.batch_size, self.count - step * self.batch_size)
            if order is None:
                keys = self._by_customer(size, random)
            else:
                start = step * self.batch_size
                keys = self._positives[order[start : start + size]]
            customers, bought = np.divmod(keys, self._width)
            yield customers, bought, self._negatives(customers, random)

    def _by_customer(self, size: int, random: np.random.Generator) -> Places:
        places = random.integers(len(self._customers), size=size)
        keys: Places = self._keys[self._starts[places] + random.integers(self._degrees[places])]
        return keys

    def _negatives(self, customers: Places, random: np.random.Generator) -> Places:
        """An article for each customer, drawn again until the customer did not buy it."""
        drawn = self._articles(len(customers), random)
        again = np.flatnonzero(self._bought(customers, drawn))
        while len(again):
            drawn[again] = self._articles(len(again), random)
            again = again[self._bought(customers[again], drawn[again])]
        return drawn

    def _articles(self, size: int, random: np.random.Generator) -> Places:
        if self.settings.negatives == "articles":
            return self._sold[random.integers(len(self._sold), size=size)]
        drawn: Places = self._keys[random.integers(len(self._keys), size=size)] % self._width
        return drawn

    def _bought(self, customers: Places, articles: Places) -> NDArray[np.bool_]:
        keys = customers * self._width + articles
        order = np.argsort(keys)  # neighbouring searches read the same memory: a third of the time
        places = np.empty_like(order)
        places[order] = np.searchsorted(self._keys, keys[order])
        return np.asarray(self._keys[np.minimum(places, len(self._keys) - 1)] == keys)
