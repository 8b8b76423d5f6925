"""Indexes of unit vectors: exact in numpy, or by faiss, which holds more rows and answers sooner.

faiss is imported here and only when an index of it is built; a process that does so must not import PyTorch, since both
bring an OpenMP of their own, which ends the process on macOS.
"""

import sys
from typing import Any, Protocol

import numpy as np

from metrics.common.errors import UserError
from recommend.features.fusion import Rows, UnitVectors
from recommend.items.exact import Found, search

KINDS = ("auto", "exact", "fp16", "flat", "ivf")
MOST_BY_NUMPY = 20_000  # rows
PROBED = 16  # cells of an IVF index that a query looks into
_TRAINED_ON = 64  # rows for each cell
_SAMPLED = 100  # items whose neighbours measure the recall
_SEED = 42


class Index(Protocol):
    """Rows to be searched by dot product.

    Attributes:
        kind: `exact`, or how faiss keeps the rows: `fp16` (half precision), `flat` (as they are) or `ivf` (in cells, of
            which a query looks into the nearest 16).
    """

    kind: str

    def search(self, queries: Rows, k: int) -> Found:
        """The k nearest rows of each query (q, d); k is at most the number of rows."""
        ...


class ExactIndex:
    """All rows in memory, compared with every query."""

    kind = "exact"

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def search(self, queries: Rows, k: int) -> Found:
        """The k nearest rows of each query (q, d)."""
        return search(queries, [self.rows], k)


class FaissIndex:
    """An index of faiss by inner product."""

    def __init__(self, kind: str, index: Any) -> None:
        self.kind, self._index = kind, index

    def search(self, queries: Rows, k: int) -> Found:
        """The k nearest rows of each query (q, d), as far as the kind of index finds them."""
        scores, places = self._index.search(np.ascontiguousarray(queries), k)
        return Found(np.where(places < 0, -np.inf, scores).astype(np.float32), places)


def build_index(vectors: UnitVectors, kind: str = "auto") -> Index:
    """Index all rows. `kind` is one of `KINDS`; `auto` is `exact` up to 20,000 rows, `fp16` above.

    Raises `UserError` if there is no such kind, or faiss is not installed.
    """
    if kind not in KINDS:
        raise UserError(f"--index: expected one of {', '.join(KINDS)}, found {kind}")
    count = len(vectors)
    if kind == "auto":
        kind = "exact" if count <= MOST_BY_NUMPY else "fp16"
    if kind == "exact":
        return ExactIndex(vectors.rows())
    index = _empty_index(kind, vectors.dimension, count)
    if kind == "ivf":
        index.cp.min_points_per_centroid = 1  # of few items too, without a warning
        index.train(_sample(vectors, _TRAINED_ON * index.nlist))
        index.nprobe = min(PROBED, index.nlist)
    for batch in vectors.batches():
        index.add(batch)
    return FaissIndex(kind, index)


def check_k(k: int, count: int, of_what: str) -> None:
    """Raise `UserError` if fewer than k items are there to be found."""
    if not 1 <= k <= count:
        raise UserError(f"--k: expected 1 to {count:,}, the number of {of_what}, found {k}")


def recall(index: Index, vectors: UnitVectors, k: int) -> float:
    """The share of the exact k nearest rows that an index finds, over 100 of its own rows drawn with a fixed seed."""
    queries = _sample(vectors, _SAMPLED)
    exact = search(queries, vectors.batches(), k).places
    found = index.search(queries, k).places
    hits = [len(np.intersect1d(*pair)) for pair in zip(exact, found, strict=True)]
    return sum(hits) / exact.size


def _empty_index(kind: str, dimension: int, count: int) -> Any:
    """The index of faiss for so many rows; IVF has sqrt(count) cells."""
    if "torch" in sys.modules and sys.platform == "darwin":
        raise UserError("faiss and PyTorch in one process end it on macOS; search in a process of its own")
    try:
        import faiss  # noqa: PLC0415  # in the extra `recommend`
    except ModuleNotFoundError as error:
        raise UserError("faiss is missing; install it by: pip install '.[recommend]' in Lookbook's folder") from error
    cells = max(1, round(count**0.5))
    recipe = {"fp16": "SQfp16", "flat": "Flat", "ivf": f"IVF{cells},SQfp16"}[kind]
    return faiss.index_factory(dimension, recipe, faiss.METRIC_INNER_PRODUCT)


def _sample(vectors: UnitVectors, size: int) -> Rows:
    count = len(vectors)
    return vectors.rows(np.sort(np.random.default_rng(_SEED).choice(count, min(size, count), replace=False)))
