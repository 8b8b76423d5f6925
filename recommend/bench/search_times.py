"""How long search takes: one query, all pairs beside the bare products of the same blocks, a million items."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from metrics.common.drafts import temporary_folder
from recommend.bench.made_up import made_up_store
from recommend.features.fusion import Rows, UnitVectors
from recommend.items import exact
from recommend.items.index import ExactIndex, build_index, recall

K = 10
_QUERIES = 20


@dataclass(frozen=True)
class QueryTime:
    """One query at a time by one kind of index.

    Attributes:
        kind: of the index.
        rows: how many it has.
        dimensions: of a row.
        build: seconds from the store on disk to the index.
        query: seconds of a query, the median of 20.
        fastest: the least of these, which other processes delayed least.
        recall: share of the exact ten nearest that it finds.
    """

    kind: str
    rows: int
    dimensions: int
    build: float
    query: float
    fastest: float
    recall: float


@dataclass(frozen=True)
class PairsTime:
    """The ten nearest of `queries` of the `rows`, among all rows.

    Attributes:
        rows: of the matrix.
        dimensions: of a row.
        queries: rows that were searched for.
        ours: seconds of the search.
        products: seconds of the bare matrix products of the same blocks; measured block by block in turn with ours, so
            that whatever else the machine does slows both.
    """

    rows: int
    dimensions: int
    queries: int
    ours: float
    products: float

    @property
    def ratio(self) -> float:
        """How many times as long as the bare products the search takes."""
        return self.ours / self.products


def query_times(rows: int, dimensions: int, kinds: tuple[str, ...]) -> Iterator[QueryTime]:
    """Build each kind of index on a made-up store and query it."""
    with temporary_folder() as folder:
        store = made_up_store(folder / "store", rows, dimensions)
        for kind in kinds:
            start = time.perf_counter()
            vectors = UnitVectors([store])
            index = build_index(vectors, kind)
            build = time.perf_counter() - start
            queries = vectors.rows(np.arange(_QUERIES) * (rows // _QUERIES))
            seconds = [_seconds(partial(index.search, row[None], K)) for row in queries]
            found = 1.0 if isinstance(index, ExactIndex) else recall(index, vectors, K)
            yield QueryTime(kind, rows, dimensions, build, float(np.median(seconds)), min(seconds), found)
            del index


def pairs_time(rows: int, dimensions: int, queries: int) -> PairsTime:
    """Search for the first `queries` of so many made-up rows, whose matrix is in memory; both sides warm."""
    with temporary_folder() as folder:
        matrix = UnitVectors([made_up_store(folder / "store", rows, dimensions)]).rows()
    products, ours = 0.0, 0.0
    search = exact.all_nearest(matrix, K)
    _products(matrix, 0)
    for start in range(0, queries, exact.QUERIES):
        products += _seconds(partial(_products, matrix, start))
        ours += _seconds(partial(next, search))
    return PairsTime(rows, dimensions, min(queries, rows), ours, products)


def _products(matrix: Rows, start: int) -> None:
    block = matrix[start : start + exact.QUERIES]
    for first in range(0, len(matrix), exact.ROWS):
        block @ matrix[first : first + exact.ROWS].T


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
