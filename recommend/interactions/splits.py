"""Purchases divided by time into training and test, and what must be known of the parts."""

from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases, Split

PER_USER, LAST_WEEK, FROM_DAY = "per-user-80-20", "last-week", "from-"
_EPOCH = date(1970, 1, 1)
Places = NDArray[np.int64]


@dataclass(frozen=True)
class SplitFacts:
    """What a result on a split must be read with.

    Attributes:
        train, validation, test: purchases in each part.
        test_customers: customers with a purchase in the test part.
        with_history: those of them who have a purchase in training too: the paper's mean is over these.
        single_purchase: customers with one purchase in all parts together.
        cut_in_a_day: those with a history whose last training day is their first test day: of them it is measured
            whether the rest of a basket is found.
        test_articles: articles bought in the test part.
        cold_articles: those of them that nobody bought in training.
        cold_purchases: purchases of these in the test part.
        before_end: purchases of the test part that lie before the last day of training: there models know what others
            bought later.
    """

    train: int
    validation: int
    test: int
    test_customers: int
    with_history: int
    single_purchase: int
    cut_in_a_day: int
    test_articles: int
    cold_articles: int
    cold_purchases: int
    before_end: int

    @property
    def cut_share(self) -> float:
        """The share of the customers with a history whose basket is cut inside a day."""
        return self.cut_in_a_day / self.with_history if self.with_history else 0.0

    @property
    def before_end_share(self) -> float:
        """The share of the test purchases that lie before the last day of training; 0 if it is split by day."""
        return self.before_end / self.test if self.test else 0.0

    def as_dict(self) -> dict[str, float]:
        """All figures, for JSON."""
        shares = {"cut_share": self.cut_share, "before_end_share": self.before_end_share}
        return asdict(self) | {name: round(share, 6) for name, share in shares.items()}


def split(purchases: Purchases, protocol: str, validation: bool = False) -> Split:
    """Divide purchases by a protocol.

    Args:
        purchases: all of a setting.
        protocol: `per-user-80-20`: of a customer's n purchases by day, ties in the order of the file, the first
            floor(0.8 n) are training, as in the paper (Elliot's temporal hold-out); a single purchase is all test.
            `last-week`: the last seven days are the test part, as on Kaggle. `from-2020-09-21`: so are all days from
            that one on.
        validation: cut a validation part from training by the same rule; by day it is as many days as the test part.

    Raises:
        UserError: for another protocol, or if a part would have no purchase.
    """
    check_protocol(protocol)
    if protocol == PER_USER:
        earlier = first_80_percent(purchases)
        train, test = purchases.taken(earlier), purchases.taken(~earlier)
        if not validation:
            return _checked(Split(train, None, test), protocol)
        earlier = first_80_percent(train)
        return _checked(Split(train.taken(earlier), train.taken(~earlier), test), protocol)
    first, last = _test_days(purchases, protocol)
    start = first - (last - first + 1) if validation else first
    days = purchases.days
    between = purchases.taken((days >= start) & (days < first)) if validation else None
    return _checked(Split(purchases.taken(days < start), between, purchases.taken(days >= first)), protocol)


def check_protocol(protocol: str) -> None:
    """Raise `UserError` if there is no such protocol."""
    if protocol in (PER_USER, LAST_WEEK):
        return
    try:
        if not protocol.startswith(FROM_DAY):
            raise ValueError
        date.fromisoformat(protocol.removeprefix(FROM_DAY))
    except ValueError:
        raise UserError(
            f"split {protocol!r}: expected {PER_USER}, {LAST_WEEK} or {FROM_DAY} and the first day of the test part, "
            f"such as {FROM_DAY}2020-09-21"
        ) from None


def first_80_percent(purchases: Purchases) -> NDArray[np.bool_]:
    """(n,) whether a purchase is among the first floor(0.8 m) of its customer's m, by day, ties in file order."""
    order = by_customer_and_day(purchases)
    counts = np.bincount(purchases.customers, minlength=purchases.customer_count)
    ranks = np.empty(len(purchases), dtype=np.int32)
    ranks[order] = np.arange(len(purchases), dtype=np.int32) - np.repeat((np.cumsum(counts) - counts), counts)
    return ranks < (counts * 4 // 5).astype(np.int32)[purchases.customers]


def by_customer_and_day(purchases: Purchases) -> Places:
    """(n,) the places of the purchases by customer, then day, then in the order of the file."""
    days = purchases.days
    order: Places
    if (days[1:] >= days[:-1]).all():  # as Kaggle's file is: one sort instead of two
        order = np.argsort(purchases.customers, kind="stable")
    else:
        order = np.lexsort((days, purchases.customers))
    return order


def split_facts(parts: Split) -> SplitFacts:
    """What `parts` are like; to be asked before `restricted`, which makes one of all cold articles."""
    train, test = parts.train, parts.test
    customers, articles = train.customer_count, len(train.article_ids)
    history = np.bincount(train.customers, minlength=customers)
    tested = np.bincount(test.customers, minlength=customers)
    between = 0 if parts.validation is None else np.bincount(parts.validation.customers, minlength=customers)
    both = (history > 0) & (tested > 0)
    cold = np.bincount(train.articles, minlength=articles) == 0
    bought = np.bincount(test.articles, minlength=articles) > 0
    return SplitFacts(
        train=len(train),
        validation=0 if parts.validation is None else len(parts.validation),
        test=len(test),
        test_customers=int((tested > 0).sum()),
        with_history=int(both.sum()),
        single_purchase=int((history + between + tested == 1).sum()),
        cut_in_a_day=int((_last_days(train) == _first_days(test))[both].sum()),
        test_articles=int(bought.sum()),
        cold_articles=int((bought & cold).sum()),
        cold_purchases=int(cold[test.articles].sum()),
        before_end=int((test.days < train.days.max(initial=0)).sum()),
    )


def _last_days(part: Purchases) -> NDArray[np.int32]:
    """(U,) the last day of each customer; the smallest number for those without a purchase."""
    days = np.full(part.customer_count, np.iinfo(np.int32).min, dtype=np.int32)
    np.maximum.at(days, part.customers, part.days)
    return days


def _first_days(part: Purchases) -> NDArray[np.int32]:
    """(U,) the first day of each customer; the largest number for those without a purchase."""
    days = np.full(part.customer_count, np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(days, part.customers, part.days)
    return days


def _test_days(purchases: Purchases, protocol: str) -> tuple[int, int]:
    """The first and the last day of the test part."""
    last = int(purchases.days.max(initial=0))
    if protocol == LAST_WEEK:
        return last - 6, last
    return (date.fromisoformat(protocol.removeprefix(FROM_DAY)) - _EPOCH).days, last


def _checked(parts: Split, protocol: str) -> Split:
    named = {"training": parts.train, "validation": parts.validation, "test": parts.test}
    empty = [name for name, part in named.items() if part is not None and not len(part)]
    if empty:
        raise UserError(f"split {protocol}: no purchase is left for {' and '.join(empty)}; choose another split or day")
    return parts
