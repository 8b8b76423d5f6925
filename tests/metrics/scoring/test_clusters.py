"""Intervals and p-values over items that hang together: simulated ones, and how real records are joined."""

import json
from pathlib import Path

import numpy as np
import pytest
from caption_files import write_system
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from metrics import CaptionRecord, RougeL, UserError, intervals, p_values, score_captions
from metrics.__main__ import app
from metrics.common.groups import connected_groups
from metrics.measures.statistics import SAMPLES, holm, mean_of, resamples
from metrics.scoring.clusters import find_clusters, too_few

NUMBERS = np.repeat(np.arange(60), np.arange(60) % 8 + 1)  # 60 products with one to eight colourways
ITEMS = np.arange(len(NUMBERS))


def drawn(draws: int, seed: int) -> np.ndarray:
    """Values (draws, items) whose expectation is 0: what is the same for a product, and a little of each item."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(draws, 60))[:, NUMBERS] + draw.normal(0, 0.3, size=(draws, len(NUMBERS)))


def test_intervals_of_clusters_cover_the_truth_and_those_of_items_do_not() -> None:
    samples = {number: mean_of(values) for number, values in enumerate(drawn(200, 1))}

    def covered(clusters: np.ndarray | None) -> float:
        return float(np.mean([low <= 0 <= high for low, high in intervals(samples, ITEMS, clusters).values()]))

    # 95% less what percentiles lack with 60 clusters of unequal size; 200 draws: +- 3 standard errors are 5 points.
    assert covered(NUMBERS) == pytest.approx(0.94, abs=0.05)
    # The standard error by item is too small by sqrt(sum of squared sizes / items) = sqrt(5.7), but for the little noise.
    assert covered(None) < 0.7


def test_equal_systems_differ_significantly_in_a_twentieth_of_all_draws() -> None:
    one, other = ({n: mean_of(values) for n, values in enumerate(drawn(200, seed))} for seed in (2, 3))

    def significant(clusters: np.ndarray | None) -> float:
        return float(np.mean([p <= 0.05 for p in p_values(one, other, ITEMS, clusters).values()]))

    assert significant(NUMBERS) == pytest.approx(0.05, abs=0.045)
    assert significant(None) > 0.25


def test_the_interval_is_that_of_the_items_of_resampled_clusters() -> None:
    values, clusters = np.array([0.1, 0.5, 0.2, 0.9, 0.4]), np.array([0, 1, 0, 2, 1])
    means = []
    for counts in (row for block in resamples(3) for row in block):
        items = [value for value, cluster in zip(values, clusters, strict=True) for _ in range(int(counts[cluster]))]
        means.append(np.mean(items))
    assert len(means) == SAMPLES
    found = intervals({"": mean_of(values)}, np.arange(5), clusters)[""]
    assert found == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=1e-12)


def test_holms_correction_is_his_arithmetic() -> None:
    # Sorted: .01 x 4 = .04; .02 x 3 = .06; .022 x 2 = .044, not less than .06; .4 x 1.
    assert holm({"a": 0.02, "b": 0.4, "c": 0.01, "d": 0.022}) == pytest.approx(
        {"a": 0.06, "b": 0.4, "c": 0.04, "d": 0.06}
    )
    assert holm({"a": 0.7, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@given(st.lists(st.frozensets(st.integers(0, 8), max_size=3), max_size=12))
def test_groups_are_closed_under_sharing_a_key(rows: list[frozenset[int]]) -> None:
    labels = connected_groups(rows)
    assert len(labels) == len(rows)
    reach = np.array(
        [[bool(one & other) or place == at for at, other in enumerate(rows)] for place, one in enumerate(rows)]
    )
    for _ in rows:
        reach = reach @ reach
    for place, label in enumerate(labels):
        assert (labels == label).tolist() == reach[place].tolist()
    assert list(dict.fromkeys(labels)) == list(range(len(set(labels))))


def test_items_are_joined_by_product_reference_and_photo() -> None:
    items = [
        CaptionRecord("0", product_id="dress", references=("a red dress",), image="0.jpg"),
        CaptionRecord("1", product_id="dress", references=("a blue dress",), image="1.jpg"),
        CaptionRecord("2", product_id="top", references=("a\u00a0blue  dress ",), image="2.jpg"),
        CaptionRecord("3", references=("a hat",), image="3.jpg", photo_digest="x"),
        CaptionRecord("4", references=("a cap",), image="4.jpg", photo_digest="x"),
        CaptionRecord("5", references=("a belt", "a red dress"), image="5.jpg"),
        CaptionRecord("6", references=("a sock",), image="3.jpg"),
    ]
    found = find_clusters(items)
    assert (found.unit, found.labels.tolist()) == ("product+reference+photo", [0, 0, 0, 1, 1, 0, 2])
    assert find_clusters(items, ["product"]).labels.tolist() == [0, 0, 1, 2, 3, 4, 5]
    assert find_clusters(items[3:], ["product"]).unit == "item"
    assert len(find_clusters(items, ["item"])) == 7
    for wrong, shown in (
        (["colour"], "colour"),
        (["item", "product"], "item, product"),
        ("product", "'product'"),
        (5, "5"),
    ):
        with pytest.raises(
            UserError, match=f"expected a list of product, reference, photo, or of item alone; found {shown}"
        ):
            find_clusters(items, wrong)  # type: ignore[arg-type]
    [warning] = too_few({"all": found}, {"all": {"CIDEr": np.arange(7.0)}})
    assert warning.startswith("all: independent clusters of items: 3; fewer than 30")


def test_a_measure_that_counts_few_clusters_is_warned_of_by_name() -> None:
    items = [CaptionRecord(str(n), references=(f"a {n}",)) for n in range(40)]
    values = {"CIDEr": np.zeros(40), "MAP": np.where(np.arange(40) < 10, 0.5, np.nan)}
    [warning] = too_few({"all": find_clusters(items)}, {"all": values})
    assert warning.startswith("all: independent clusters of items: MAP 10; fewer")


def test_keys_that_no_item_has_are_refused() -> None:
    with pytest.raises(UserError, match="clusters: no item has a product; name something else, or item"):
        score_captions([CaptionRecord("0", "a", references=("a",))], measures=[RougeL()], clusters=["product"])


@pytest.mark.java
def test_reports_and_comparisons_cluster_and_can_be_told_not_to(tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "product_id": str(n // 8), "caption": f"dress {n // 8 % 3}", "references": [f"dress {n // 8}"]}
        for n in range(64)
    ]
    paths = [write_system(tmp_path / name, rows, system=name) for name in ("one", "two")]

    def made(command: str, file: str, *options: str) -> dict[str, object]:
        out = tmp_path / f"{command}{len(options)}"
        arguments = [command, *map(str, paths), "--out", str(out), "--measure", "ROUGE-L", *options]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
        assert result.exit_code == 0, result.output
        assert ("independent clusters of items: 8;" in " ".join(result.stdout.split())) == (not options)
        return json.loads((out / file).read_text(encoding="utf-8"))

    report, alone = (made("score", "report.json", *options) for options in ([], ["--clusters", "item"]))
    assert report["clusters"] == {"all": {"n": 64, "unit": "product+reference", "clusters": 8}}

    def width(report: dict[str, object]) -> float:
        low, high = report["systems"][0]["scores"]["all"]["ROUGE-L"]["interval"]
        return high - low

    # Eight equal items for one: the interval of the mean is sqrt(8) times as wide, within the percentiles' own error.
    assert width(report) / width(alone) == pytest.approx(8**0.5, rel=0.1)
    comparison = made("compare", "comparison.json")["slices"][0]
    assert (comparison["unit"], comparison["clusters"], comparison["comparisons"]) == ("product+reference", 8, 1)
