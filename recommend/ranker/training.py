"""A ranker trained on the periods of a recipe, and the lists that it makes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.ranker.candidates import Candidates
from recommend.ranker.history import Floats, History, Places
from recommend.ranker.lgbm import Fitted, fit, settings_of
from recommend.ranker.periods import Data, Period, bought
from recommend.ranker.recipe import Row
from recommend.ranker.vectors import Added

K = 12
PAD = -1


@dataclass(frozen=True)
class Trained:
    """A ranker and what it was trained on: customers with a candidate that they bought and one that they did not."""

    fitted: Fitted
    customers: int
    candidates: int
    bought: int


def train(row: Row, data: Data, periods: list[Period], added: Added | None, settings: dict[str, Any]) -> Trained:
    """Fit a row's ranker on some periods. Raises `UserError` if no customer bought any of its candidates."""
    rows, labels, groups = [], [], []
    names: list[str] = []
    for period in periods:
        for found in data.pieces(period.history, period.labels.customers):
            kept, marks = _telling(found, period)
            names, values = data.features(kept, period.history, row.bestseller_rank, added)
            rows.append(values)
            labels.append(marks)
            groups.append(np.bincount(kept.owners, minlength=len(kept.customers)))
    counts = np.concatenate(groups)
    if not len(counts):
        raise UserError(
            "train: no customer bought any of its candidates, so that nothing can be learnt; raise the counts of "
            "candidates, or choose other days"
        )
    marks = np.concatenate(labels)
    fitted = fit(np.concatenate(rows), marks, counts, names, settings)
    return Trained(fitted, len(counts), len(marks), int(marks.sum()))


def settings_for(row: Row, data: Data) -> dict[str, Any]:
    """The settings of a row's ranker."""
    return settings_of(row.ranker, data.recipe.seed, data.recipe.threads)


def _telling(found: Candidates, period: Period) -> tuple[Candidates, NDArray[np.bool_]]:
    """The customers who bought some of their candidates, not all: an order of the others has nothing to learn from."""
    marks = bought(found, period.labels)
    hits = np.bincount(found.owners, weights=marks, minlength=len(found.customers))
    wanted = (hits > 0) & (hits < np.bincount(found.owners, minlength=len(found.customers)))
    return found.of(wanted), marks[wanted[found.owners]]


def ranked_lists(
    row: Row, data: Data, fitted: Fitted, history: History, customers: Places, added: Added | None
) -> NDArray[np.int32]:
    """The best candidates of some customers (m,), (m, 12) places of articles, best first."""
    ranked, of = _distinct(data, history, customers)
    lists = []
    for found in data.pieces(history, ranked):
        _, rows = data.features(found, history, row.bestseller_rank, added)
        lists.append(best(found, fitted.scores(rows)))
    return np.concatenate(lists)[of]


def _distinct(data: Data, history: History, customers: Places) -> tuple[Places, Places]:
    """Customers whose features differ, and which of them each customer is like.

    Of customers without a history only customers.csv says anything: without it one represents all of them.
    """
    new = history.bought_by(customers) == 0
    if data.catalogue.customers.columns or not new.any():
        return customers, np.arange(len(customers))
    first = int(np.argmax(new))
    kept = ~new
    kept[first] = True
    return customers[kept], np.where(new, kept[:first].sum(), np.cumsum(kept) - 1)


def best(found: Candidates, scores: NDArray[np.float64] | Floats) -> NDArray[np.int32]:
    """The 12 candidates of each customer with the highest scores (n,), (m, 12); equal scores by the article's place.

    `PAD` ends a list of fewer.
    """
    order = np.lexsort((found.articles, -scores, found.owners))
    owners = found.owners[order]
    starts = np.searchsorted(owners, np.arange(len(found.customers)))
    rank = np.arange(len(owners)) - starts[owners]
    lists = np.full((len(found.customers), K), PAD, dtype=np.int32)
    kept = rank < K
    lists[owners[kept], rank[kept]] = found.articles[order][kept]
    return lists
