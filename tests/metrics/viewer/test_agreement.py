"""Krippendorff's alpha against his own example; rank correlations against scipy's of the pairs themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.measures.statistics import Floats
from metrics.viewer.ratings.agreement import alpha, coincidences, interval, kendall, ordinal, spearman

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), part C: four observers of twelve units; 0 is missing.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
COUNTS = np.array([np.bincount(unit, minlength=6)[1:] for unit in zip(*OBSERVERS, strict=True)], dtype=np.float64)
NUMBERS = np.arange(1.0, 6.0)


def nominal(given: Floats) -> Floats:
    return 1.0 - np.eye(len(given))


def ratios(given: Floats) -> Floats:
    return np.asarray(((NUMBERS[:, None] - NUMBERS) / (NUMBERS[:, None] + NUMBERS)) ** 2)


@pytest.mark.parametrize(
    ("distances", "printed"), [(nominal, 0.743), (ordinal, 0.815), (interval, 0.849), (ratios, 0.797)]
)
def test_alpha_of_krippendorffs_example(distances: object, printed: float) -> None:
    assert round(alpha(coincidences(COUNTS).sum(axis=0), distances), 3) == printed  # type: ignore[arg-type]


def test_alpha_of_raters_who_agree_who_disagree_and_who_say_one_thing() -> None:
    agree = np.eye(5) * 3
    assert alpha(coincidences(agree).sum(axis=0), ordinal) == 1
    # Two raters, two units, (1, 5) and (5, 1): 1 - (4 - 1) (2 * 2 d) / (2 * 2 * 2 d) = -0.5, whatever the distance d.
    apart = np.array([[1, 0, 0, 0, 1], [1, 0, 0, 0, 1.0]])
    assert alpha(coincidences(apart).sum(axis=0), interval) == alpha(coincidences(apart).sum(axis=0), ordinal) == -0.5
    assert np.isnan(alpha(coincidences(agree[:1]).sum(axis=0), ordinal))
    assert np.isnan(alpha(coincidences(np.eye(5)).sum(axis=0), ordinal))  # one rater each: nothing to compare


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5), st.integers(0, 3)), min_size=2, max_size=25)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_correlations_are_scipys_of_the_pairs_as_often_as_they_are_drawn(drawn: list[tuple[int, int, int]]) -> None:
    scipy = pytest.importorskip("scipy.stats")
    x, y, often = (np.array(column, dtype=np.float64) for column in zip(*drawn, strict=True))
    weights = np.stack([often, np.ones_like(often)])
    for of_ours, of_scipy in ((kendall, scipy.kendalltau), (spearman, scipy.spearmanr)):
        for found, counts in zip(of_ours(x, y, weights), weights.astype(int), strict=True):
            one, other = np.repeat(x, counts), np.repeat(y, counts)
            if len(set(one)) < 2 or len(set(other)) < 2:
                assert np.isnan(found)
            else:
                assert found == pytest.approx(of_scipy(one, other).statistic, abs=1e-9)


def test_tau_b_of_kendalls_formula() -> None:
    # 1 2 2 3 against 1 2 3 3: 4 of 6 pairs concordant, none discordant, one tied in each: 4 / sqrt(5 * 5).
    assert kendall(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 3]), np.ones((1, 4))) == pytest.approx([0.8])
