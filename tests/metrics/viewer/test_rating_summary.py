"""The summary of ratings against arithmetic, scipy, and simulated people."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from metrics import CaptionRecord
from metrics.measures.statistics import resamples
from metrics.viewer.ratings.store import Rating
from metrics.viewer.ratings.summary import LEAST
from metrics.viewer.ratings.summary import summarise as summarise_captions

SYSTEMS = ["one", "two", "three"]


def items(count: int, products: int | None = None) -> list[CaptionRecord]:
    return [
        CaptionRecord(f"i{n}", product_id=f"p{n % (products or count)}", references=(f"r{n}",)) for n in range(count)
    ]


def said(item: int, system: str, rater: str, rating: int | None, note: str = "", blind: bool = True) -> Rating:
    return Rating(f"i{item}", system, rater, rating, note, blind, "2026-01-01T00:00:00+00:00")


def summarise(ratings: Sequence[Rating], of: Sequence[CaptionRecord], systems: Sequence[str], scores: Any) -> Any:
    return summarise_captions(ratings, of, systems, [["a dress"] * len(systems)] * len(of), scores)


def test_means_wins_and_preferences_of_three_raters() -> None:
    # Of each item the one rater gives 5 to 3, the second 4 to 4, the third 2 to 1 to the first system only in the first half.
    ratings = []
    for n in range(20):
        ratings += [
            said(n, "one", "ann", 5),
            said(n, "two", "ann", 3),
            said(n, "one", "bob", 4),
            said(n, "two", "bob", 4),
        ]
    ratings += [said(n, "one", "cem", 1) for n in range(10)] + [said(0, "one", "dee", None, "a note")]
    scores = {"M": np.stack([np.arange(20.0), np.full(20, 10.0)], axis=1), "None": np.full((20, 2), np.nan)}
    summary = summarise(ratings, items(20), ["one", "two"], scores)
    rated = summary["blind"]["rated"]
    assert summary["open"] == {"notes": 0, "rated": None}
    assert (summary["left_out"], summary["blind"]["notes"], rated["ratings"]) == (0, 1, 90)
    assert rated["raters"] == {"ann": 40, "bob": 40, "cem": 10}
    one, two = rated["systems"]
    assert one["given"] == [10, 0, 0, 20, 20]
    # 10 items of (5 + 4 + 1) / 3 and 10 of (5 + 4) / 2; all of (3 + 4) / 2
    assert one["mean"]["value"] == pytest.approx((10 / 3 + 9 / 2) / 2)
    assert two["mean"] == {"value": 3.5, "interval": [3.5, 3.5], "n": 20, "clusters": 20}
    (pair,) = rated["pairs"]
    assert (pair["won"], pair["tied"], pair["lost"]) == (20, 20, 0)
    assert pair["wins"] == {"value": 0.75, "interval": [0.75, 0.75], "n": 40, "clusters": 20}
    # People prefer "two" (3.5 to 10/3) of items 0 to 9, where M does too; "one" of the others, M too, but ties at 10.
    measure, none = rated["measures"]
    assert measure["preference"]["value"] == pytest.approx(19.5 / 20)
    assert none["preference"] == {"value": None, "interval": None, "n": 0, "clusters": 0}
    assert none["tau_b"]["value"] is none["rho"]["value"] is None


def drawn(count: int, seed: int) -> tuple[list[Rating], dict[str, np.ndarray]]:
    """Ratings of captions whose quality a measure sees well and another one not at all."""
    draw = np.random.default_rng(seed)
    quality = draw.normal(size=(count, 3))
    scores = {"good": quality + draw.normal(0, 0.3, size=(count, 3)), "noise": draw.normal(size=(count, 3))}
    ratings = []
    for (n, place), rater in product(np.ndindex(count, 3), ("ann", "bob")):
        if draw.random() < 0.8:
            rating = int(np.clip(round(3 + quality[n, place] + draw.normal(0, 0.5)), 1, 5))
            ratings.append(said(n, SYSTEMS[place], rater, rating))
    return ratings, scores


def test_correlations_are_scipys_and_their_intervals_those_of_resampled_products() -> None:
    scipy = pytest.importorskip("scipy.stats")
    ratings, scores = drawn(24, 1)
    rated = summarise(ratings, items(24, 12), SYSTEMS, {"good": scores["good"]})["blind"]["rated"]
    assert (rated["clusters"], rated["unit"], rated["few"]) == (12, "product+reference", True)
    by_caption: dict[tuple[str, str], list[int]] = {}
    for one in ratings:
        by_caption.setdefault((one.item, one.system), []).append(one.rating or 0)
    x = np.array([scores["good"][int(item[1:]), SYSTEMS.index(system)] for item, system in by_caption])
    y = np.array([np.mean(values) for values in by_caption.values()])
    product_of = np.array([int(item[1:]) % 12 for item, _ in by_caption])
    (measure,) = rated["measures"]
    assert measure["tau_b"]["n"] == len(x)
    for name, expected in (("tau_b", scipy.kendalltau), ("rho", scipy.spearmanr)):
        assert measure[name]["value"] == pytest.approx(expected(x, y).statistic)
        values = []
        for counts in next(resamples(12))[:200]:
            often = counts[product_of].astype(int)
            values.append(expected(np.repeat(x, often), np.repeat(y, often)).statistic)
        spread = measure[name]["interval"][1] - measure[name]["interval"][0]
        assert measure[name]["interval"] == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.15 * spread)


def test_the_measure_that_sees_quality_agrees_with_people_and_noise_does_not() -> None:
    ratings, scores = drawn(80, 2)
    rated = summarise(ratings, items(80), SYSTEMS, scores)["blind"]["rated"]
    good, noise = rated["measures"]
    assert good["tau_b"]["interval"][0] > 0.5 and good["preference"]["interval"][0] > 0.7
    assert noise["tau_b"]["interval"][0] < 0 < noise["tau_b"]["interval"][1]
    assert noise["preference"]["interval"][0] < 0.5 < noise["preference"]["interval"][1]
    assert rated["agreement"]["ordinal"]["interval"][0] > 0.5
    for figure in (good["rho"], rated["agreement"]["interval"], *(one["mean"] for one in rated["systems"])):
        assert figure["interval"][0] < figure["value"] < figure["interval"][1]


def test_blind_and_open_ratings_are_apart_and_others_are_counted() -> None:
    ratings = [said(n, "one", "ann", 1) for n in range(LEAST)] + [
        said(n, "one", "ann", 5, blind=False) for n in range(12)
    ]
    ratings += [said(99, "one", "ann", 3), said(0, "gone", "ann", 3)]
    summary = summarise(ratings, items(12), ["one"], {})
    assert summary["left_out"] == 2
    assert summary["blind"]["rated"]["systems"][0]["mean"]["value"] == 1
    assert summary["open"]["rated"]["systems"][0]["mean"]["value"] == 5


def test_too_few_clusters_give_no_figure() -> None:
    ratings = [said(n, system, rater, 1 + n % 5) for n in range(30) for system in ("a", "b") for rater in "xy"]
    scores = {"M": np.repeat(np.arange(30.0)[:, None], 2, axis=1)}
    few = summarise(ratings, items(30, LEAST - 1), ["a", "b"], scores)["blind"]["rated"]
    enough = summarise(ratings, items(30, LEAST), ["a", "b"], scores)["blind"]["rated"]
    for rated, shown in ((few, False), (enough, True)):
        figures = [rated["systems"][0]["mean"], rated["pairs"][0]["wins"], *rated["agreement"].values()]
        figures += [rated["measures"][0]["tau_b"], rated["measures"][0]["rho"]]
        assert [figure["value"] is not None for figure in figures] == [shown] * len(figures)
        assert all(figure["n"] for figure in figures)
    assert few["systems"][0]["given"] == [12] * 5
