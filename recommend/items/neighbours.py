"""The nearest items of every item, as a table on disk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrics.common.files import atomic_file
from metrics.common.ownership import refuse_other
from metrics.common.screen import progress
from recommend.items.catalogue import Filters, pairs
from recommend.items.exact import Found, Pairs, all_nearest
from recommend.items.index import check_k
from recommend.items.similar import SimilarItems

_MARK = "lookbook.neighbours"
_SCHEMA = pa.schema([("id", pa.string()), ("rank", pa.int32()), ("neighbour", pa.string()), ("cosine", pa.float32())])
_PATIENCE = 5.0  # seconds before the bar appears


def write_neighbours(
    items: SimilarItems, k: int, filters: Filters, out: Path, overwrite: bool = False
) -> tuple[int, int]:
    """Write the k nearest items of every item to `out`, exactly, a row for each; what is there must be such a table, or
    to `overwrite`.

    The columns are `id`, `rank` from 1, `neighbour` and `cosine`. Returns the number of rows, and of items that the
    filters leave fewer than k for, which have fewer rows.

    Raises:
        UserError: when `out` is another file or cannot be written, k is more than there are other items, or a filter
            needs a table.
    """
    refuse_other(out, _MARK, "table of neighbours", overwrite=overwrite)
    view = items.views.all[-1]
    schema = _SCHEMA.with_metadata({_MARK: items.views.signature(view, "exact").encode()})
    catalogue = items.table_for(filters)
    kept = None if catalogue is None else pairs(catalogue, filters)
    check_k(k, len(items.vectors) - 1, "other items")
    rows, short = 0, 0
    with atomic_file(out) as draft, pq.ParquetWriter(draft, schema) as writer:
        for start, found in _searched(items, k, kept):
            table = _table(items.vectors.ids, start, found, schema)
            writer.write_table(table)
            rows += table.num_rows
            short += int((found.places[:, -1] < 0).sum())
    return rows, short


def _searched(items: SimilarItems, k: int, kept: Pairs | None) -> Iterator[tuple[int, Found]]:
    count = len(items.vectors)
    with progress(None, "neighbours", total=count, unit="item", delay=_PATIENCE) as bar:
        for start, found in all_nearest(items.vectors.rows(), k, kept):
            yield start, found
            bar.update(len(found.places))


def _table(ids: list[str], start: int, found: Found, schema: pa.Schema) -> pa.Table:
    present = found.places >= 0
    row, rank = np.nonzero(present)
    names = np.array(ids, dtype=object)
    columns = [names[start + row], (rank + 1).astype(np.int32), names[found.places[present]], found.scores[present]]
    return pa.table(columns, schema=schema)
