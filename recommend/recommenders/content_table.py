"""Content by the table of each article's nearest that `similar --all` wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import NDArray

from finetune.data.readers import NUMBER, TEXT, read_parquet
from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import Customers, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.files import Arrays, matrix_arrays, matrix_from
from recommend.recommenders.selection import best_stored

_REMEDY = "write it with `lookbook similar STORE --all --out`"
_COLUMNS = {"id": TEXT, "neighbour": TEXT, "cosine": NUMBER}


@dataclass
class NeighbourContent(Recommender):
    """Scores an article by the mean of its cosines to those bought articles that have it among their nearest.

    Only scores above 0 count. A customer who bought nothing that the table has gets an empty list.

    Attributes:
        table: neighbours.parquet.
        left_out: rows of the table that are of no candidate, after `fit`.
    """

    name: ClassVar[str] = "content-neighbours"
    table: str

    def _fit(self, interactions: Purchases, features: ItemFeatures | None) -> None:
        self._nearest, self.left_out = read_neighbours(Path(self.table), interactions.article_ids)

    def _recommend(self, customers: Customers, k: int, exclude_seen: bool) -> Recommendations:
        bought = self.history[customers]
        counts = np.maximum(np.diff(bought.indptr), 1).astype(np.float32)
        scores = scipy.sparse.diags(1 / counts) @ (bought @ self._nearest)
        if exclude_seen:
            scores = scores - scores.multiply(bought)
        return best_stored(scores.tocsr(), k)

    def _arrays(self) -> Arrays:
        return matrix_arrays("nearest", self._nearest)

    def _restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._nearest = matrix_from("nearest", arrays)


def read_neighbours(path: Path, article_ids: Sequence[str]) -> tuple[scipy.sparse.csr_matrix, int]:
    """The cosines (I, I) of each article to its nearest, and how many rows of the table are not of two articles.

    Raises `UserError` if the table is missing or damaged, has a pair twice, or none of two of the articles.
    """
    table = read_parquet(path, _REMEDY, _COLUMNS).to_pandas(ignore_metadata=True)
    index = pd.Index(list(article_ids))
    one, other = index.get_indexer(table["id"]), index.get_indexer(table["neighbour"])
    kept = (one >= 0) & (other >= 0)
    if not kept.any():
        raise UserError(
            f"{path}: expected articles that were bought, such as {article_ids[0]}, found others; {_REMEDY}"
        )
    cosines = table["cosine"].to_numpy(np.float32)[kept]
    if not np.isfinite(cosines).all():
        raise UserError(f"{path}: a cosine is not finite; {_REMEDY}")
    matrix = scipy.sparse.csr_matrix((cosines, (one[kept], other[kept])), shape=(len(index), len(index)))
    if matrix.nnz < len(cosines):
        raise UserError(f"{path}: a pair of articles is there twice; {_REMEDY}")
    return matrix, int(len(kept) - kept.sum())
