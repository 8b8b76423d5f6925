"""Texts as numbers that trees can ask for."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNKNOWN = -1


def ranked(values: Sequence[str]) -> NDArray[np.int64]:
    """The rank of each text among the distinct ones, from 0, numbers by size; `UNKNOWN` for an empty one.

    A tree only asks whether a number is below another: the rank of a value among those that occur is as good as the
    value, exact in float32, and can be counted.
    """
    texts = pd.Series(values, dtype=object).replace("", None)
    numbers = pd.to_numeric(texts, errors="coerce")
    numeric = bool(numbers.notna().eq(texts.notna()).all())
    ranks, _ = pd.factorize(numbers if numeric else texts, sort=True)
    return np.asarray(ranks, dtype=np.int64)
