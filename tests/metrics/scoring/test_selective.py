"""Withholding the least confident: by hand, against scipy, and for any confidences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.measures import statistics
from metrics.measures.statistics import SAMPLES
from metrics.scoring.clusters import FEWEST
from metrics.scoring.selective import Part, Selection, calibration, reaching, select

Item = tuple[float, float, int]
# Few different confidences and values, so that many are equal.
items = st.lists(
    st.tuples(st.sampled_from([0.05, 0.5, 0.55, 0.9, 1.0]), st.sampled_from([0.0, 0.25, 1.0]), st.integers(0, 5)),
    min_size=1,
    max_size=40,
)


def selected(rows: list[Item], samples: int = SAMPLES) -> Selection:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "SAMPLES", samples)
        return select(*columns(rows))


def columns(rows: list[Item]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    confidence, values, clusters = zip(*rows, strict=True)
    return np.array(confidence), np.array(values), np.array(clusters)


def test_four_items_by_hand() -> None:
    found = selected([(0.83, 1, 0), (0.5, 0, 1), (0.912, 1, 2), (0.83, 0, 1)])
    assert [(one.threshold, one.n, one.coverage, one.clusters) for one in found.curve] == [
        (0.9, 1, 0.25, 1),
        (0.8, 3, 0.75, 3),
        (0.0, 4, 1.0, 3),
    ]
    assert [one.value for one in found.curve] == [1.0, pytest.approx(2 / 3), 0.5]
    assert [one.confidence for one in found.curve] == pytest.approx([0.912, 2.572 / 3, 3.072 / 4])
    assert found.area == pytest.approx((1 + 2 / 3 + 2 / 3 + 1 / 2) / 4)
    assert found.best_area == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)


def test_the_correlation_is_scipys() -> None:
    scipy = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(5)
    confidence = draw.integers(1, 30, 80) / 30
    values = np.round(confidence + draw.normal(0, 0.3, 80), 1)
    found = select(confidence, values, np.arange(80))
    assert found.correlation == pytest.approx(scipy.spearmanr(confidence, values).statistic, abs=1e-12)
    low, high = found.correlation_interval or (1, -1)
    assert -1 <= low < found.correlation < high <= 1


def test_a_resample_counts_an_item_as_often_as_it_is_drawn() -> None:
    """Two items of one cluster weigh as one cluster of twice the size: the same as each item written twice."""
    rows = [(0.9, 1.0, 0), (0.7, 0.0, 1), (0.4, 0.25, 2), (0.2, 0.0, 3)]
    once, twice = selected(rows), selected([row for row in rows for _ in range(2)])
    assert twice.area_interval == pytest.approx(once.area_interval)
    assert np.allclose([one.interval for one in twice.curve], [one.interval for one in once.curve])
    apart = selected([(*row[:2], 2 * row[2] + copy) for row in rows for copy in range(2)])
    widths = [one.curve[-1].interval[1] - one.curve[-1].interval[0] for one in (apart, twice)]
    assert widths[0] < widths[1]


@settings(max_examples=25, deadline=None)
@given(items)
def test_a_higher_threshold_keeps_fewer_and_keeps_what_it_says(rows: list[Item]) -> None:
    curve = selected(rows, samples=9).curve
    thresholds = [one.threshold for one in curve]
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert [one.n for one in curve] == sorted({one.n for one in curve})
    assert (curve[-1].n, curve[-1].coverage, curve[-1].threshold) == (len(rows), 1, 0)
    for one in curve:
        kept = [row for row in rows if row[0] >= one.threshold]
        assert (one.n, one.coverage) == (len(kept), len(kept) / len(rows))
        assert one.clusters == len({cluster for *_, cluster in kept})
        assert one.value == pytest.approx(np.mean([value for _, value, _ in kept]))
        assert 0 <= one.interval[0] <= one.interval[1] <= 1


def figures(parts: list[Part]) -> list[tuple[float, ...]]:
    return [(one.threshold, one.n, one.clusters, one.value) for one in parts]


@settings(max_examples=15, deadline=None)
@given(items, st.randoms(use_true_random=False))
def test_the_order_of_the_items_changes_nothing(rows: list[Item], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = selected(rows, samples=9), selected(shuffled, samples=9)
    assert figures(list(other.curve)) == figures(list(one.curve))
    assert (other.area, other.best_area) == (one.area, one.best_area)
    assert other.correlation == (one.correlation and pytest.approx(one.correlation, abs=1e-12))
    bins = [calibration(*columns(order)) for order in (rows, shuffled)]
    assert np.allclose(figures(bins[0]), figures(bins[1]))
    assert sum(part.n for part in bins[0]) == len(rows)


def test_no_correlation_where_all_values_are_equal() -> None:
    found = selected([(0.9, 1, 0), (0.5, 1, 1)])
    assert (found.correlation, found.correlation_interval) == (None, None)


def test_a_hundred_thresholds_at_most_and_the_last_keeps_all() -> None:
    count = 1000
    confidence = np.random.default_rng(1).permutation(count) / count
    found = select(confidence, confidence, np.arange(count))
    assert len(found.curve) == 100
    assert [found.curve[0].n, found.curve[-1].n] == [1, count]
    assert found.correlation == pytest.approx(1)
    assert found.area == pytest.approx(found.best_area)


def good_then_bad(good: int, clusters: int) -> Selection:
    """The most confident items are right, 40 others wrong; the right ones are in so many clusters."""
    rows = [(0.9 - place / 1000, 1.0, place % clusters) for place in range(good)]
    return selected(rows + [(0.5, 0.0, clusters + place) for place in range(40)])


def test_the_threshold_is_the_lowest_that_is_beyond_doubt() -> None:
    found = good_then_bad(60, 60)
    kept = reaching(found.curve, 0.95)
    assert kept is not None
    assert (kept.n, kept.value, kept.threshold) == (60, 1.0, 0.8)
    everything = reaching(found.curve, 0.4)
    assert everything is not None
    assert everything.n == 100
    # The mean of all is 0.6, but its interval's lower bound is below.
    assert found.curve[-1].value == pytest.approx(0.6)
    assert reaching(found.curve[-1:], 0.6) is None


@pytest.mark.parametrize(("clusters", "found"), [(FEWEST - 1, False), (FEWEST, True)])
def test_no_threshold_is_chosen_on_a_handful_of_clusters(clusters: int, found: bool) -> None:
    assert (reaching(good_then_bad(60, clusters).curve, 0.95) is not None) == found


def test_bins_have_as_many_items_each_and_30_clusters() -> None:
    confidence = np.arange(1, 121) / 120
    bins = calibration(confidence, confidence, np.arange(120))
    assert [part.n for part in bins] == [30] * 4
    assert [part.value for part in bins] == pytest.approx([(30 * k + 15.5) / 120 for k in range(4)])
    assert all(part.interval[0] < part.value < part.interval[1] for part in bins)
    assert len(calibration(np.full(120, 0.5), confidence, np.arange(120))) == 1
