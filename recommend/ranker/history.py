"""The purchases of some days: what each customer bought, and what sold best."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases

Places = NDArray[np.int64]
Floats = NDArray[np.float32]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class History:
    """p pairs of a customer and a distinct article, by customer, the last bought first.

    Attributes:
        starts: (U + 1,) where each customer's pairs begin.
        articles: (p,)
        days_ago: (p,) from the pair's last purchase to the day after the history.
        times: (p,) purchases of the pair.
        bestsellers: (b,) the articles that were bought, most purchases first, equal ones in the order of their places.
        rank: (I,) an article's rank among these from 1; NaN if nobody bought it.
    """

    starts: Places
    articles: NDArray[np.int32]
    days_ago: NDArray[np.int32]
    times: NDArray[np.int32]
    bestsellers: Places
    rank: Floats

    def of(self, customers: Places, most: int | None = None) -> tuple[Places, Places]:
        """The pairs of some customers (m,), of each at most so many: the owner's row in `customers`, and the pair."""
        counts = self.starts[customers + 1] - self.starts[customers]
        if most is not None:
            counts = np.minimum(counts, most)
        return np.repeat(np.arange(len(customers)), counts), ranges(self.starts[customers], counts)

    def bought_by(self, customers: Places) -> Places:
        """How many distinct articles each of some customers bought, (m,)."""
        return self.starts[customers + 1] - self.starts[customers]


def ranges(starts: Places, counts: Places) -> Places:
    """The numbers start, start + 1, ... of each range, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))


def between(purchases: Purchases, days: tuple[date, date], what: str) -> Purchases:
    """The purchases of some days, both ends included. Raises `UserError` if there are none."""
    first, last = ((day - _EPOCH).days for day in days)
    kept = purchases.taken((purchases.days >= first) & (purchases.days <= last))
    if not len(kept):
        raise UserError(f"{what}: no purchase from {days[0]} to {days[1]}; {_known(purchases)}")
    return kept


def _known(purchases: Purchases) -> str:
    if not len(purchases):
        return "the setting has no purchases at all"
    first, last = (_EPOCH + timedelta(days=int(day)) for day in (purchases.days.min(), purchases.days.max()))
    return f"there are purchases from {first} to {last}"


def history_of(purchases: Purchases, days: tuple[date, date], what: str) -> History:
    """The history that some days make. Raises `UserError` if nobody bought anything on them."""
    kept, articles = between(purchases, days, what), len(purchases.article_ids)
    keys = kept.customers.astype(np.int64) * articles + kept.articles
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    owners, bought = np.divmod(keys[first], articles)
    after = (days[1] - _EPOCH).days + 1
    ago = after - np.maximum.reduceat(kept.days[order], first)
    times = np.diff(np.append(first, len(keys)))
    latest = np.argsort(owners * (int(ago.max()) + 1) + ago, kind="stable")
    sold = np.bincount(kept.articles, minlength=articles)
    bestsellers = np.argsort(-sold, kind="stable")[: int((sold > 0).sum())]
    rank = np.full(articles, np.nan, dtype=np.float32)
    rank[bestsellers] = np.arange(1, len(bestsellers) + 1)
    counts = np.bincount(owners, minlength=purchases.customer_count)
    return History(
        starts=np.append(0, np.cumsum(counts)),
        articles=bought[latest].astype(np.int32),
        days_ago=ago[latest].astype(np.int32),
        times=times[latest].astype(np.int32),
        bestsellers=bestsellers,
        rank=rank,
    )
