"""Groups of customers that are measured apart."""

import numpy as np
from numpy.typing import NDArray

LEAST = (0, 1, 2, 5, 10, 20)  # distinct articles bought in training, from which a group begins


def by_activity(bought: NDArray[np.integer]) -> dict[str, NDArray[np.bool_]]:
    """Which of m customers bought how much in training: masks (m,) by titles such as `5-9 bought`, no group empty.

    Args:
        bought: (m,) distinct articles of each customer in training.
    """
    groups = {}
    for least, following in zip(LEAST, (*LEAST[1:], None), strict=True):
        inside = bought >= least if following is None else (bought >= least) & (bought < following)
        if inside.any():
            groups[f"{_range(least, following)} bought"] = inside
    return groups


def _range(least: int, following: int | None) -> str:
    if following is None:
        return f"{least}+"
    return str(least) if following == least + 1 else f"{least}-{following - 1}"
