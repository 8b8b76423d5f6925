"""Rows joined by what they share."""

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray


def connected_groups(keys_of_rows: Iterable[Iterable[Hashable]]) -> NDArray[np.int64]:
    """Label rows (n,) so that rows that share a key, or are joined by further rows, have the same label.

    Labels are 0, 1, ... in the order in which their first rows come; a row without keys is alone.
    """
    parents: list[int] = []
    first_with: dict[Hashable, int] = {}
    for row, keys in enumerate(keys_of_rows):
        parents.append(row)
        for key in keys:
            one, other = _root(parents, first_with.setdefault(key, row)), _root(parents, row)
            parents[max(one, other)] = min(one, other)
    labels: dict[int, int] = {}
    roots = (_root(parents, row) for row in range(len(parents)))
    return np.array([labels.setdefault(root, len(labels)) for root in roots], dtype=np.int64)


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row
