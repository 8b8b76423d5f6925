"""Intervals and paired tests against scipy, exact enumeration, resampled corpora, and simulation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import CaptionRecord, score_captions
from metrics.measures import statistics
from metrics.measures.bleu import bleu, bleu_statistics
from metrics.measures.statistics import SAMPLES, TRIALS, Floats, Statistics, intervals, mean_of, p_values, resamples

values = st.lists(st.floats(0, 10, width=32), min_size=1, max_size=30).map(np.array)


def everywhere(array: Floats) -> np.ndarray:
    return np.arange(len(array))


def interval(one: Statistics) -> tuple[float, float]:
    return intervals({"": one}, everywhere(one.per_item))[""]


def p(one: Statistics, other: Statistics) -> float:
    return p_values({"": one}, {"": other}, everywhere(one.per_item))[""]


def ratio(columns: list[list[float]]) -> Statistics:
    """A measure that is no mean: the sum of one column over that of the other."""
    array = np.array(columns, dtype=np.float64)
    return Statistics(array[:, 0] / array[:, 1], array, lambda sums: float(sums[0] / sums[1]))


def test_the_interval_of_a_mean_is_scipys() -> None:
    scipy = pytest.importorskip("scipy.stats")
    sample = np.random.default_rng(3).gamma(2.0, size=150)
    expected = scipy.bootstrap((sample,), np.mean, method="percentile", n_resamples=20_000, rng=7).confidence_interval
    # The 2.5% quantile of 1,000 draws is within 2% of the interval's width, one standard error.
    assert interval(mean_of(sample)) == pytest.approx(expected, abs=0.06 * (expected.high - expected.low))


@pytest.mark.java
def test_bleus_interval_is_that_of_resampled_corpora_and_ciders_keeps_its_frequencies() -> None:
    words = ["red", "blue", "soft", "long", "dress", "top", "skirt"]
    draw = np.random.default_rng(1)
    texts = [[" ".join(draw.choice(words, size)) for size in draw.integers(3, 9, 2)] for _ in range(12)]
    scores = score_captions([CaptionRecord(str(n), c, references=(r,)) for n, (c, r) in enumerate(texts)])
    found = scores.results[0].scores["all"]
    resampled = []
    for counts in (row for block in resamples(12) for row in block):
        items = [texts[place] for place, count in enumerate(counts) for _ in range(int(count))]
        resampled.append(bleu(bleu_statistics([c for c, _ in items], [[r] for _, r in items]).sum(axis=0)))
    assert len(resampled) == SAMPLES
    for order in range(4):
        expected = np.percentile([of_all[order] for of_all in resampled], [2.5, 97.5])
        assert found[f"BLEU-{order + 1}"].interval == pytest.approx(expected, rel=1e-12)
    cider = found["CIDEr"]
    means = [row @ cider.per_item / 12 for block in resamples(12) for row in block]
    assert cider.interval == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=1e-12)


def test_intervals_cover_the_truth() -> None:
    draw = np.random.default_rng(5)
    bounds = [interval(mean_of(draw.normal(0.3, 1.0, size=60))) for _ in range(300)]
    covered = np.mean([low <= 0.3 <= high for low, high in bounds])
    # 95% less what percentiles lack at n = 60 (sqrt(59/60) and normal for Student's quantiles: 94.3%), +- 3 errors.
    assert covered == pytest.approx(0.943, abs=0.04)


def test_what_a_measure_leaves_out_counts_in_no_resample() -> None:
    known = np.array([0.25, np.nan, 0.25, np.nan, 0.25])
    assert mean_of(known).value(everywhere(known)) == 0.25
    # In 1% of all resamples ((2/5)^5) nothing is left to average, and the value is 0.
    assert interval(mean_of(known)) == pytest.approx((0.25, 0.25))
    assert interval(mean_of(np.array([np.nan, np.nan]))) == (0.0, 0.0)


def test_one_item_is_certain_of_itself_and_shows_no_difference() -> None:
    one, other = mean_of(np.array([0.7])), mean_of(np.array([0.1]))
    assert interval(one) == (0.7, 0.7)
    assert p(one, other) == 1.0


def test_memory_is_bounded_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(2)
    one, other = mean_of(draw.random(40)), mean_of(draw.random(40))
    before = [*interval(one), p(one, other)]
    monkeypatch.setattr(statistics, "_BLOCK", 130)
    assert {block.shape for block in resamples(40)} == {(3, 40), (1, 40)}
    assert [*interval(one), p(one, other)] == pytest.approx(before, rel=1e-12)


def test_all_systems_share_their_resamples() -> None:
    sample = np.random.default_rng(4).random(50)
    shifted = intervals({"one": mean_of(sample), "two": mean_of(sample + 1)}, everywhere(sample))
    assert np.subtract(shifted["two"], shifted["one"]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_all_possible_swaps(seed: int) -> None:
    draw = np.random.default_rng(seed)
    one, other = draw.integers(1, 9, size=(2, 7, 2)).tolist()

    def difference(swapped: tuple[int, ...]) -> float:
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(one, other, swapped, strict=True)]
        values = [np.sum([pair[of] for pair in pairs], axis=0) for of in (0, 1)]
        return abs(values[0][0] / values[0][1] - values[1][0] / values[1][1])

    differences = [difference(swapped) for swapped in product((0, 1), repeat=7)]
    exact = np.mean([value >= differences[0] - 1e-12 for value in differences])
    error = np.sqrt(exact * (1 - exact) / TRIALS)
    assert p(ratio(one), ratio(other)) == pytest.approx(exact, abs=4 * error + 1 / TRIALS)


def test_p_is_scipys_of_a_mean() -> None:
    scipy = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(8)
    one = draw.random(60)
    other = one + draw.normal(0.06, 0.25, size=60)
    expected = scipy.permutation_test(
        (one, other), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=20_000, rng=1
    ).pvalue
    assert 0.02 < expected < 0.3
    assert p(mean_of(one), mean_of(other)) == pytest.approx(expected, abs=4 * np.sqrt(expected / TRIALS))


@settings(max_examples=20, deadline=None)
@given(values, st.randoms(use_true_random=False))
def test_p_of_two_systems_does_not_ask_which_is_first(sample: Floats, shuffle) -> None:  # type: ignore[no-untyped-def]
    other = np.array([value + shuffle.choice([0.0, 0.1, 1.0]) for value in sample])
    found = p(mean_of(sample), mean_of(other))
    assert 1 / (1 + TRIALS) <= found <= 1
    assert found == p(mean_of(other), mean_of(sample))
    assert p(mean_of(sample), mean_of(sample.copy())) == 1.0


@pytest.mark.slow
def test_a_difference_is_found_and_none_is_not_invented() -> None:
    draw = np.random.default_rng(6)
    hard = draw.normal(0.5, 0.3, size=(200, 40))
    systems = [hard + draw.normal(0, 0.1, size=hard.shape) for _ in range(2)]
    pairs = dict(enumerate(zip(*systems, strict=True)))
    first = {number: mean_of(one) for number, (one, _) in pairs.items()}
    same = p_values(first, {number: mean_of(other) for number, (_, other) in pairs.items()}, np.arange(40))
    better = p_values(first, {number: mean_of(other + 0.1) for number, (_, other) in pairs.items()}, np.arange(40))
    # 200 true nulls: 5% +- 3 standard errors. A shift of .1 is 4.5 standard errors of the mean difference.
    assert np.mean([found <= 0.05 for found in same.values()]) == pytest.approx(0.05, abs=0.047)
    assert np.mean([found <= 0.05 for found in better.values()]) > 0.97
