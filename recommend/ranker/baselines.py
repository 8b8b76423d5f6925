"""Lists without any training: what sold best, and before that what the customer bought."""

import numpy as np
from numpy.typing import NDArray

from recommend.ranker.candidates import Candidates
from recommend.ranker.periods import Data, Period
from recommend.ranker.recipe import REPURCHASE
from recommend.ranker.training import K, best

_ABOVE = 1e7  # any rank and any number of days


def baseline_lists(name: str, data: Data, period: Period) -> NDArray[np.int32]:
    """The lists of a period's customers, (m, 12): of the candidates, as the rankers' are."""
    lists = [np.empty((0, K), dtype=np.int32)]
    for found in data.pieces(period.history, period.labels.customers):
        scores = -np.nan_to_num(period.history.rank[found.articles].astype(np.float64), nan=np.inf)
        if name == REPURCHASE:
            scores = scores + _bought_before(found, period)
        lists.append(best(found, scores))
    return np.concatenate(lists)


def _bought_before(found: Candidates, period: Period) -> NDArray[np.float64]:
    """What lifts what the customer bought above all bestsellers, the later bought the higher; 0 for all else."""
    pairs = found.pairs(period.history)
    ago = period.history.days_ago[np.maximum(pairs, 0)]
    return np.where(pairs >= 0, _ABOVE * (_ABOVE - ago), 0.0)
