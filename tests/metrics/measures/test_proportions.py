"""Intervals of proportions: published values, clusters, and what holds for all input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.measures.proportions import proportion_interval


def interval(values: list[float], clusters: list[int] | None = None) -> tuple[float, float]:
    found = proportion_interval(np.array(values), np.array(clusters or range(len(values))))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe, Two-sided confidence intervals for the single proportion, 1998, Table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_items_on_their_own_give_wilsons_interval(hits: int, n: int, low: float, high: float) -> None:
    assert interval([1.0] * hits + [0.0] * (n - hits)) == pytest.approx((low, high), abs=5e-5)


def test_copies_in_a_cluster_add_nothing() -> None:
    single = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    twice = [value for value in single for _ in range(2)]
    assert interval(twice, [place // 2 for place in range(16)]) == pytest.approx(interval(single))
    assert interval([0.0] * 20, [0] * 10 + [1] * 10) == pytest.approx(interval([0.0, 0.0]))


def test_nothing_counted_has_no_interval() -> None:
    assert proportion_interval(np.array([np.nan, np.nan]), np.array([0, 1])) is None
    assert interval([np.nan, 1.0, 0.0, np.nan], [7, 3, 5, 7]) == interval([1.0, 0.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_share_lies_inside_and_order_does_not_matter(items: list[tuple[float, int]]) -> None:
    values, clusters = [value for value, _ in items], [cluster for _, cluster in items]
    low, high = interval(values, clusters)
    assert 0 <= low <= sum(values) / len(values) + 1e-9
    assert sum(values) / len(values) - 1e-9 <= high <= 1
    assert interval(values[::-1], clusters[::-1]) == pytest.approx((low, high))
