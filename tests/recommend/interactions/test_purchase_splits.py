"""Splits: hand-computed parts, a plain loop beside them, what is said of them, and a real week of H&M's."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purchase_files import bought
from recommending import done

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases, Split
from recommend.interactions.purchases import open_purchases
from recommend.interactions.splits import split, split_facts

# customer, article, day; out of order, with ties
SHOP = bought(
    (0, 0, 5), (1, 1, 3), (0, 1, 2), (0, 2, 5), (2, 3, 4), (0, 3, 9), (1, 0, 3), (0, 4, 5),
    customers=4, articles=6,
)  # fmt: skip


def articles(part: Purchases | None, customer: int) -> list[int]:
    assert part is not None
    return part.articles[part.customers == customer].tolist()


def test_80_20_ranks_by_day_and_ties_by_the_file() -> None:
    parts = split(SHOP, "per-user-80-20")
    # Customer 0 by day: 1 (day 2), then 0, 2, 4 (day 5), then 3; floor(0.8 x 5) = 4. Customer 1: floor(1.6) = 1.
    assert (articles(parts.train, 0), articles(parts.test, 0)) == ([0, 1, 2, 4], [3])
    assert (articles(parts.train, 1), articles(parts.test, 1)) == ([1], [0])
    assert (articles(parts.train, 2), articles(parts.test, 2)) == ([], [3])
    with_validation = split(SHOP, "per-user-80-20", validation=True)
    # floor(0.8 x 4) = 3: article 4 is the last of the file on day 5.
    assert articles(with_validation.train, 0) == [0, 1, 2]
    assert articles(with_validation.validation, 0) == [4]
    assert articles(with_validation.test, 0) == [3]
    assert articles(with_validation.validation, 1) == [1]


def test_facts_of_a_split() -> None:
    facts = split_facts(split(SHOP, "per-user-80-20"))
    assert (facts.train, facts.validation, facts.test) == (5, 0, 3)
    assert (facts.test_customers, facts.with_history, facts.single_purchase) == (3, 2, 1)
    assert (facts.cut_in_a_day, facts.cut_share) == (1, 0.5)  # customer 1 on day 3
    # tested: 3 twice, which nobody bought in training, and 0
    assert (facts.test_articles, facts.cold_articles, facts.cold_purchases) == (2, 1, 2)
    assert facts.as_dict()["cut_share"] == 0.5
    assert (facts.before_end, facts.as_dict()["before_end_share"]) == (2, 0.666667)  # days 3 and 4; training ends on 5
    assert split_facts(split(SHOP, "from-1970-01-06")).before_end == 0


def test_only_articles_of_training_are_candidates() -> None:
    parts = split(SHOP, "per-user-80-20").restricted()
    assert parts.train.article_ids == [SHOP.article_ids[place] for place in (0, 1, 2, 4)]
    assert parts.train.articles.tolist() == [0, 1, 1, 2, 3]
    assert parts.test.articles.tolist() == [-4, -4, 0]  # article 3 twice
    assert parts.test.matrix.toarray().tolist() == [[0] * 4, [1, 0, 0, 0], [0] * 4, [0] * 4]


def test_days_divide_too() -> None:
    daily = bought(*[(day % 3, day % 5, day) for day in range(21)])
    for protocol in ("last-week", "from-1970-01-15"):
        parts = split(daily, protocol, validation=True)
        assert parts.validation is not None
        assert [part.days.tolist() for part in (parts.train, parts.validation, parts.test)] == [
            list(range(7)),
            list(range(7, 14)),
            list(range(14, 21)),
        ]
        assert split(daily, protocol).train.days.tolist() == list(range(14))


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=40),
    validation=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_80_20_is_that_of_a_plain_loop(rows: list[tuple[int, int, int]], validation: bool) -> None:
    numbered = bought(*rows, customers=6, articles=7)
    try:
        parts = split(numbered, "per-user-80-20", validation)
    except UserError as error:
        assert "no purchase is left for" in str(error)
        return
    for customer in range(6):
        mine = sorted((row for row in rows if row[0] == customer), key=lambda row: row[2])  # stable
        train = mine[: int(0.8 * len(mine))]
        expected = [train, mine[len(train) :]]
        if validation:
            kept = train[: int(0.8 * len(train))]
            expected = [kept, mine[len(train) :], train[len(kept) :]]
        found = [part for part in (parts.train, parts.test, parts.validation) if part is not None]
        for part, wanted in zip(found, expected, strict=True):
            assert sorted(articles(part, customer)) == sorted(row[1] for row in wanted)
    assert (parts.train.matrix.toarray() > 0).sum() == len({row[:2] for row in taken(parts)})


def taken(parts: Split) -> list[tuple[int, int]]:
    return list(zip(parts.train.customers.tolist(), parts.train.articles.tolist(), strict=True))


@pytest.mark.parametrize("protocol", ["80-20", "from-2020-13-01", "from-monday", "from-1970-01-01", "from-1999-01-01"])
def test_impossible_splits_are_refused(protocol: str) -> None:
    with pytest.raises(UserError, match=f"split '?{protocol}'?: "):
        split(SHOP, protocol)


@pytest.mark.real_data
@pytest.mark.skipif("HM_DIR" not in os.environ, reason="HM_DIR names no folder of H&M's catalogue")
def test_a_real_week(tmp_path: Path) -> None:
    """Counted in the slice by other means; 45,993 of 48,990 baskets are cut inside a day."""
    done("purchases", os.environ["HM_DIR"], "--out", tmp_path / "out")
    week = open_purchases(tmp_path / "out")
    assert (len(week), week.customer_count, len(week.article_ids)) == (240_311, 68_984, 105_542)
    assert len(np.unique(week.articles)) == 17_986
    facts = split_facts(split(week, "per-user-80-20"))
    assert (facts.with_history, facts.cut_in_a_day) == (48_990, 45_993)
    assert facts.single_purchase == 68_984 - 48_990
    by_day = split_facts(split(week, "from-2020-09-21"))
    assert (by_day.test_customers, by_day.with_history) == (20_233, 3_455)
