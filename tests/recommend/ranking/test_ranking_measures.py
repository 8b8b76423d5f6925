"""Measures of ranked lists: by hand, against scikit-learn and plain loops; intervals and tests against one by one."""

from collections.abc import Sequence
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from metrics.common.errors import UserError
from metrics.measures.statistics import intervals, mean_of, p_values
from recommend.ranking.estimates import differences, estimates
from recommend.ranking.hits import hits
from recommend.ranking.lists import coverage, list_values, novelty
from recommend.ranking.measures import ranking_values
from recommend.ranking.protocol import Protocol
from recommend.ranking.relevant import relevant
from recommend.ranking.slices import by_activity


def bought(*pairs: tuple[int, int], among: int = 10) -> Any:
    customers, articles = np.array(pairs, dtype=np.int32).T
    return relevant(customers, articles, np.ones(among, dtype=bool))


def test_measures_by_hand() -> None:
    # Hits at places 1 and 3 of 4; five relevant articles, one of them bought twice, two that no list can name.
    test = bought((7, 3), (7, 5), (7, 5), (7, 8), (7, -1), (7, -2))
    assert test.counts.tolist() == [5]
    values = {name: float(value[0]) for name, value in ranking_values(np.array([[3, 4, 5, -1]]), test, [1, 4]).items()}
    ideal = 1 + 1 / log2(3) + 1 / 2 + 1 / log2(5)
    assert values == pytest.approx(
        {
            "nDCG@1": 1,
            "MAP@1 (mean precision)": 1,
            "MAP@1": 1 / 5,
            "MAP@1 (Kaggle)": 1,
            "recall@1": 1 / 5,
            "precision@1": 1,
            "hit@1": 1,
            "nDCG@4": 1.5 / ideal,
            "MAP@4 (mean precision)": (1 + 1 / 2 + 2 / 3 + 2 / 4) / 4,
            "MAP@4": (1 + 2 / 3) / 5,
            "MAP@4 (Kaggle)": (1 + 2 / 3) / 4,
            "recall@4": 2 / 5,
            "precision@4": 2 / 4,
            "hit@4": 1,
        }
    )


def test_measures_equal_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    ids = np.array([draw.permutation(30) for _ in range(20)])
    truth = draw.random((20, 30)) < 0.2
    customers, articles = truth.nonzero()
    ranks = np.empty_like(ids)
    np.put_along_axis(ranks, ids, np.arange(30)[None], axis=1)
    found = ranking_values(ids, relevant(customers, articles, np.ones(20, dtype=bool)), [12, 30])
    for row in range(20):
        assert found["nDCG@12"][row] == pytest.approx(ndcg_score(truth[row, None], -ranks[row, None], k=12))
        assert found["MAP@30"][row] == pytest.approx(average_precision_score(truth[row], -ranks[row]))


def by_loop(ranked: Sequence[int], wanted: set[int], k: int) -> dict[str, float]:
    gain = precisions = summed = 0.0
    found = 0
    for place, article in enumerate(ranked[:k], 1):
        found += article in wanted
        precisions += found / place
        if article in wanted:
            gain += 1 / log2(place + 1)
            summed += found / place
    most = min(len(wanted), k)
    return {
        f"nDCG@{k}": gain / sum(1 / log2(place + 1) for place in range(1, most + 1)),
        f"MAP@{k} (mean precision)": precisions / k,
        f"MAP@{k}": summed / len(wanted),
        f"MAP@{k} (Kaggle)": summed / most,
        f"recall@{k}": found / len(wanted),
        f"precision@{k}": found / k,
        f"hit@{k}": float(found > 0),
    }


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[list[int]], list[set[int]]]:
    """Lists of 5 distinct articles of 9, some cut short, and what their customers bought; below 0: unreachable."""
    count = draw(st.integers(1, 6))
    ranked = [draw(st.lists(st.integers(0, 8), max_size=5, unique=True)) for _ in range(count)]
    wanted = [draw(st.sets(st.integers(-3, 8), min_size=1)) for _ in range(count)]
    return [[*row, *[-1] * (5 - len(row))] for row in ranked], wanted


@settings(max_examples=100, deadline=None)
@given(lists(), st.integers(1, 5))
def test_measures_equal_a_loop(case: tuple[list[list[int]], list[set[int]]], k: int) -> None:
    ranked, wanted = case
    test = bought(*[(row, article) for row, articles in enumerate(wanted) for article in articles])
    found = ranking_values(np.array(ranked), test, [k])
    for row, (one, articles) in enumerate(zip(ranked, wanted, strict=True)):
        named = [article if article >= 0 else None for article in one]
        assert {name: values[row] for name, values in found.items()} == pytest.approx(by_loop(named, articles, k))  # type: ignore[arg-type]
        for name, values in found.items():
            assert 0 <= values[row] <= 1 + 1e-6, name


def test_a_k_above_the_lists_is_refused() -> None:
    with pytest.raises(UserError, match=r"measures at 3: expected 1 to 2"):
        ranking_values(np.array([[0, 1]]), bought((0, 1)), [3])


def test_only_counted_customers_and_the_cold_slice() -> None:
    counted = np.array([True, False, True, True])
    test = relevant(np.array([3, 1, 0, 3, 0]), np.array([4, 2, 1, 0, -1]), counted)
    assert test.customers.tolist() == [0, 3]  # 1 is not counted, 2 bought nothing
    assert test.counts.tolist() == [2, 2]
    cold = test.only(np.array([False, False, False, False, True]))
    assert (cold.customers.tolist(), cold.articles.tolist(), cold.owners.tolist()) == ([3], [4], [0])


def test_coverage_and_novelty_by_hand() -> None:
    ids = np.array([[0, 1], [0, -1], [-1, -1]])
    buyers = np.array([8, 1, 4, 0])
    assert coverage(ids, 4) == 2 / 4
    assert novelty(ids, buyers, 16).tolist()[:2] == [(1 + 4) / 2, 1]
    assert np.isnan(novelty(ids, buyers, 16)[2])
    assert novelty(np.array([[3]]), buyers, 16).tolist() == [4]  # nobody bought it: as if one had
    assert list_values(ids, buyers, 16, [1, 2]) == {
        "coverage@1": 1 / 4,
        "novelty@1": 1,
        "coverage@2": 2 / 4,
        "novelty@2": (2.5 + 1) / 2,
    }


def drawn(share: float, seed: int, count: int = 400) -> Any:
    """Hits of made-up lists of 6, of which about a share is relevant, for customers who each want 0, 1 and 2."""
    draw = np.random.default_rng(seed)
    ids = np.where(draw.random((count, 6)) < share, draw.integers(3, size=(count, 1)), draw.integers(3, 99, (count, 6)))
    owners = np.repeat(np.arange(count), 3)
    return hits(ids, relevant(owners, np.tile([0, 1, 2], count), np.ones(count, dtype=bool)))


def values_of(found: Any, name: str) -> Any:
    from recommend.ranking.measures import pattern_values

    return pattern_values(found, [6])[name][found.of]


def test_intervals_are_those_of_customers_resampled_one_by_one() -> None:
    found = drawn(0.2, 1)
    values = values_of(found, "nDCG@6")
    ours = estimates(found, [6])["nDCG@6"]
    low, high = intervals({"nDCG": mean_of(values)}, np.arange(400))["nDCG"]
    assert ours.value == pytest.approx(values.mean())
    assert ours.customers == 400
    assert ours.low is not None
    # Two Monte Carlo estimates of the same bounds, from 1,000 resamples each.
    assert [ours.low, ours.high] == pytest.approx([low, high], abs=0.15 * (high - low))


def test_differences_are_paired() -> None:
    one, other = drawn(0.24, 1), drawn(0.2, 2)
    mine, its = values_of(one, "recall@6"), values_of(other, "recall@6")
    found = differences(one, other, [6])["recall@6"]
    assert found.value == pytest.approx((mine - its).mean())
    low, high = intervals({"gain": mean_of(mine - its)}, np.arange(400))["gain"]
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.15 * (high - low))
    by_metrics = p_values({"recall": mean_of(mine)}, {"recall": mean_of(its)}, np.arange(400))["recall"]
    assert found.p == pytest.approx(by_metrics, abs=0.04)
    assert 0.001 < found.p < 0.9  # neither bound, so that the comparison means something
    assert differences(one, one, [6])["nDCG@6"].p == 1


def test_estimates_of_a_slice_and_of_nobody() -> None:
    found = drawn(0.2, 3)
    among = np.arange(400) < 100
    part = estimates(found, [6], among)["hit@6"]
    assert (part.value, part.customers) == (pytest.approx(values_of(found, "hit@6")[:100].mean()), 100)
    assert estimates(found, [6], among & ~among)["hit@6"].value is None
    assert differences(found, found, [6], among & ~among) == {}


def test_groups_by_activity_hold_everybody_once() -> None:
    bought = np.array([0, 1, 2, 4, 5, 25, 9])
    groups = by_activity(bought)
    assert list(groups) == ["0 bought", "1 bought", "2-4 bought", "5-9 bought", "20+ bought"]
    assert groups["5-9 bought"].nonzero()[0].tolist() == [4, 6]
    assert np.sum(list(groups.values()), axis=0).tolist() == [1] * 7


def test_a_signature_names_the_protocol() -> None:
    text = Protocol("per-user-80-20", "trained", 105, "excluded", "in both parts", 42).signature("nDCG@12", 30)
    parts = text.split("|")
    assert parts[:-1] == [
        "nDCG@12",
        "split:per-user-80-20",
        "candidates:trained 105",
        "seen:excluded",
        "ties:article id",
        "customers:in both parts",
        "n:30",
        "unit:customer",
        "seed:42",
    ]
