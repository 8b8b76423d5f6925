"""Attribute Precision@K: computed by hand, against brute force, its controls, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feature_stores import write_store
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from recommending import clustered, done, items_table, refused_by

from recommend.evaluation.attributes import NO_VALUE, Labels, agreement, chance
from recommend.evaluation.neighbours import neighbours

IDS = ["a", "b", "c", "d", "e"]
# On a circle, in degrees: a finds b, c; b finds a, c; c finds b, a; d finds e, c; e finds d, c.
ANGLES = np.radians([0, 10, 30, 80, 90])
ROWS = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
PRODUCTS = ["p", "p", "q", "r", "s"]
TYPES = ["dress", "dress", "dress", "coat", "coat"]
COLOURS = ["red", "blue", "red", "red", ""]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "photos", IDS, ROWS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return items_table(tmp_path / "items.parquet", IDS[::-1], PRODUCTS[::-1], kind=TYPES[::-1], colour=COLOURS[::-1])


def measured(tmp_path: Path, *arguments: Any) -> dict[str, Any]:
    done("attribute-precision", *arguments, "--out", tmp_path / "out")
    result: dict[str, Any] = json.loads((tmp_path / "out" / "attribute-precision.json").read_text())
    return result


BY_HAND = ("--attribute", "kind", "--attribute", "colour", "--k", 2, "--no-centre")


def test_precision_and_recall_equal_those_by_hand(store: Path, table: Path, tmp_path: Path) -> None:
    result = measured(tmp_path, store, "--items", table, *BY_HAND, "--siblings", "in")
    by_chance, photos = result["parts"][0]["rows"]
    # Kinds found: a 2/2, b 2/2, c 2/2, d 1/2, e 1/2. Colours: a 1/2 (c), b 0/2, c 1/2 (a), d 1/2 (c), e has none.
    assert photos["precision"]["kind"]["value"] == pytest.approx((1 + 1 + 1 + 0.5 + 0.5) / 5)
    assert photos["precision"]["colour"]["value"] == pytest.approx((0.5 + 0 + 0.5 + 0.5) / 4)
    assert photos["precision"]["colour"]["queries"] == 4
    means = [(1 + 0.5) / 2, (1 + 0) / 2, (1 + 0.5) / 2, (0.5 + 0.5) / 2, 0.5]
    assert photos["precision"]["mean"]["value"] == pytest.approx(np.mean(means))
    # Recall: of two other dresses all are found, of one other coat too; of two other reds one each; no other blue.
    assert photos["recall"]["kind"]["value"] == 1
    assert photos["recall"]["colour"] == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5, "queries": 3})
    # Chance: two of four others of a dress are dresses, one of four of a coat; two of four for a red, none for blue.
    assert by_chance["precision"]["kind"]["value"] == pytest.approx((3 * 2 / 4 + 2 * 1 / 4) / 5)
    assert by_chance["precision"]["colour"]["value"] == pytest.approx((3 * 2 / 4 + 0) / 4)
    assert by_chance["recall"]["kind"]["value"] == pytest.approx(2 / 4)


def test_siblings_out(store: Path, table: Path, tmp_path: Path) -> None:
    result = measured(tmp_path, store, "--items", table, *BY_HAND, "--siblings", "out")
    _, photos = result["parts"][0]["rows"]
    # a finds c, d; b finds c, d; the others as before.
    assert photos["precision"]["kind"]["value"] == pytest.approx((0.5 + 0.5 + 1 + 0.5 + 0.5) / 5)
    assert photos["precision"]["colour"]["value"] == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert photos["recall"]["kind"]["value"] == 1


@given(st.integers(0, 10_000), st.integers(5, 20), st.integers(1, 3), st.booleans())
@settings(max_examples=25, deadline=None)
def test_neighbours_and_agreement_equal_brute_force(seed: int, count: int, k: int, siblings: bool) -> None:
    draw = np.random.default_rng(seed)
    products = np.array([0, 0, *range(1, count - 1)])
    labels = Labels(("one", "two"), draw.integers(NO_VALUE, 3, (count, 2)), products)
    rows = draw.normal(size=(count, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = draw.permutation(count)[: count // 2]
    found = neighbours(rows, queries, k, products, siblings)
    scores = agreement(labels, queries, found, siblings)
    for row, query in enumerate(queries):
        others = [item for item in range(count) if item != query and (siblings or products[item] != products[query])]
        nearest = sorted(others, key=lambda item: -float(rows[item] @ rows[query]))[:k]
        assert_allclose(rows[found[row]] @ rows[query], rows[nearest] @ rows[query], atol=1e-6)
        for place in range(2):
            mine = labels.codes[query, place]
            if mine == NO_VALUE:
                assert np.isnan(scores.precision[row, place])
                continue
            hits = sum(labels.codes[item, place] == mine for item in found[row])
            relevant = sum(labels.codes[item, place] == mine for item in others)
            assert scores.precision[row, place] == hits / k
            assert_allclose(scores.recall[row, place], hits / relevant if relevant else np.nan)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=15, deadline=None)
def test_chance_is_the_mean_over_all_draws(seed: int, siblings: bool) -> None:
    """With k = all that could be found, everything is found, whatever the features."""
    draw = np.random.default_rng(seed)
    labels = Labels(("one",), draw.integers(NO_VALUE, 2, (7, 1)), np.array([0, 0, 1, 1, 2, 2, 2]))
    queries = np.arange(4)  # of products of two items
    others = [
        [i for i in range(7) if i != q and (siblings or labels.products[i] != labels.products[q])] for q in queries
    ]
    everything = agreement(labels, queries, np.array(others), siblings)
    expected = chance(labels, queries, len(others[0]), siblings)
    assert_allclose(expected.precision, everything.precision)
    assert_allclose(expected.recall, everything.recall)
    # and one item drawn agrees as often as all of them do on average
    assert_allclose(chance(labels, queries, 1, siblings).precision, everything.precision)


def test_the_weight_is_chosen_on_one_half_and_shown_on_the_other(tmp_path: Path) -> None:
    ids, rows, groups = clustered(60)
    noise = np.random.default_rng(1).normal(size=rows.shape)
    stores = [write_store(tmp_path / "noise", ids, noise), write_store(tmp_path / "good", ids, rows)]
    table = items_table(tmp_path / "items.parquet", ids, [f"p{place // 2}" for place in range(60)], kind=groups)
    result = measured(tmp_path, *stores, "--items", table, "--attribute", "kind", "--join", "--siblings", "out")
    joined = result["joined"]
    assert joined["choosing_queries"] == joined["parts"][0]["queries"] == 30
    values = {row["name"]: row["precision"]["mean"]["value"] for row in joined["parts"][0]["rows"]}
    assert joined["weight"] <= 0.5
    assert joined["choosing"][str(joined["weight"])] == max(joined["choosing"].values())
    assert values["good"] > 0.95
    assert values["noise"] == pytest.approx(values["chance"], abs=0.15)
    *_, together = joined["parts"][0]["rows"]
    gains = joined["parts"][0]["gains"]
    mean = together["precision"]["mean"]["value"]
    assert {name: one["value"] for name, one in gains.items()} == pytest.approx(
        {name: mean - values[name] for name in ("noise", "good")}
    )
    assert gains["noise"]["low"] > 0
    page = (tmp_path / "out" / "attribute-precision.html").read_text()
    assert "Siblings out: 30 queries" in page


def test_intervals_resample_whole_products(tmp_path: Path) -> None:
    """Forty copies of four products say no more than four: the interval must be that of four."""
    ids = [f"i{place}" for place in range(160)]
    products = [f"p{place % 4}" for place in range(160)]
    kinds = [("x", "x", "y", "z")[place % 4] for place in range(160)]
    angles = np.radians([{"p0": 0, "p1": 5, "p2": 90, "p3": 95}[product] for product in products])
    store = write_store(tmp_path / "photos", ids, np.column_stack([np.cos(angles), np.sin(angles)]))
    table = items_table(tmp_path / "items.parquet", ids, products, kind=kinds)
    arguments = (store, "--items", table, "--attribute", "kind", "--siblings", "out", "--no-centre")
    photos = measured(tmp_path, *arguments)["parts"][0]["rows"][1]["precision"]["kind"]
    assert photos == {"value": 0.5, "low": 0.0, "high": 1.0, "queries": 160}


def test_the_attributes_of_known_catalogues_are_found(store: Path, tmp_path: Path) -> None:
    names = ("gender", "masterCategory", "subCategory", "articleType", "baseColour")
    table = items_table(tmp_path / "items.parquet", IDS, PRODUCTS, **dict.fromkeys(names, TYPES))
    assert measured(tmp_path, store, "--items", table, "--k", 1)["attributes"] == list(names)


def test_bad_input_is_refused(store: Path, table: Path, tmp_path: Path) -> None:
    def message(*arguments: Any) -> str:
        return refused_by("attribute-precision", *arguments)

    kind = ("--items", table, "--attribute", "kind")
    assert "lower --k" in message(store, *kind, "--k", 5)
    assert "siblings out" in message(store, *kind, "--k", 4)
    assert "no column size; found id, product_id, kind, colour" in message(store, *kind, "--attribute", "size")
    assert "name yours by --attribute" in message(store, "--items", table)
    assert "--join: expected two stores" in message(store, *kind, "--join")
    assert "two stores are called photos" in message(store, store, *kind)
    assert "no such file" in message(store, "--items", tmp_path / "other.parquet", "--attribute", "kind")
    assert "features.json" in message(tmp_path, *kind)
    other = items_table(tmp_path / "other.parquet", ["a", "b"], ["p", "q"], kind=["x", "y"])
    assert "3 of 5 items are not in it, such as c" in message(store, "--items", other, "--attribute", "kind")
    twice = items_table(tmp_path / "twice.parquet", [*IDS, "a"], [*PRODUCTS, "p"], kind=[*TYPES, "x"])
    assert "id a is in several rows" in message(store, "--items", twice, "--attribute", "kind")
    (tmp_path / "text.parquet").write_text("no table")
    assert "cannot read the table" in message(store, "--items", tmp_path / "text.parquet", "--attribute", "kind")
    bare = tmp_path / "bare.parquet"
    pd.DataFrame({"id": IDS, "kind": TYPES}).to_parquet(bare)
    assert "column(s) product_id missing" in message(store, "--items", bare, "--attribute", "kind")
    assert "every value is empty" in message(
        store, "--items", items_table(tmp_path / "empty.parquet", IDS, PRODUCTS, kind=[""] * 5), "--attribute", "kind"
    )
    zeros = write_store(tmp_path / "zeros", IDS, ROWS * np.array([[1], [1], [0], [1], [1]]))
    assert "(c)" in message(zeros, *kind, "--k", 1)
    apart = write_store(tmp_path / "apart", ["x", "y"], ROWS[:2])
    assert "no item in common" in message(store, apart, *kind)
    same = items_table(tmp_path / "same.parquet", IDS, ["p"] * 5, kind=TYPES)
    other = write_store(tmp_path / "other", IDS, ROWS)
    alone = ("--items", same, "--attribute", "kind", "--siblings", "in", "--k", 1, "--join")
    assert "queries of two products" in message(store, other, *alone)
    assert list(tmp_path.glob("out")) == []
