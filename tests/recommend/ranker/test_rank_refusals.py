"""`lookbook rank` on inputs that are wrong, unknown or incomplete: refused in one message, or what they lack is said."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feature_stores import write_store
from hot_shops import ARTICLES, PERIODS, content_of, recipe, values_of
from recommending import done, refused_by

from recommend.ranker.periods import open_data
from recommend.ranker.recipe import load_recipe

LATER = {"history": ["2021-01-01", "2021-01-02"], "labels": ["2021-01-03", "2021-01-04"]}


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"test": LATER}, "test.labels: no purchase from 2021-01-03 to 2021-01-04; there are purchases from 2020-09-01"),
        ({"train": [LATER]}, "train: labels of 2021-01-03 to 2021-01-04 are not before those of the test"),
        ({"test": LATER | {"labels": ["2021-01-02", "2021-01-04"]}}, "expected history and labels as first and last"),
        ({"components": 5}, "captions: components: expected at most 4, the numbers of its vectors, found 5; lower"),
        ({"candidates": {"similar": 3}}, "candidates.similar and neighbours belong together"),
        ({"captions": "captons"}, "captions: expected one of nothing, captions, random; did you mean 'captions'?"),
        ({"arms": [{"name": "a"}] * 2}, "arms: two entries are called a"),
        ({"arms": [{"name": "a", "likeness": True}]}, "bestsellers and likeness are of features"),
        ({"arms": [{"name": "bestsellers"}]}, "arms: bestsellers is the name of a baseline"),
        ({"against": ["captions"]}, "against: expected first the arm without captions, found captions"),
        ({"codes": ["garment"]}, "items.parquet: no column garment; found"),
        ({"customers": "none.csv"}, "cannot read none.csv"),
        ({"train": []}, "train: "),
        ({"rankers": [{"name": "x", "preset": "papers"}]}, "rankers.0.preset: expected"),
        ({"submission": {"history": ["2021-01-01", "2021-01-02"], "arm": "nothing"}}, "submission.history: no purchase"),
        ({"submission": {"history": ["2020-09-06", "2020-09-05"], "arm": "nothing"}}, "expected the first and the last day"),
        ({"submission": {"history": ["2020-09-04", "2020-09-05"], "arm": "nothing"}}, "expected to end on 2020-09-06 or later"),
        ({"train": PERIODS["train"] * 2}, "train: history 2020-09-01 to 2020-09-02, labels 2020-09-03 to 2020-09-03 is there twice"),
        ({"train": [*PERIODS["train"], {"history": ["2020-08-01", "2020-08-02"], "labels": ["2020-08-03", "2020-08-04"]}]},
         "train.1.labels: no purchase from 2020-08-03"),
        ({"against": ["nothing", "nothing"]}, "against: nothing is there twice"),
        ({"arms": [{"name": "nothing"}, {"name": "captions"}], "against": ["nothing"]}, "captions: the arm captions adds nothing that could help"),
        ({"candidates": {"purchases": 0, "similar": 2}, "neighbours": "x"}, "candidates: similar articles are those near to"),
        ({"candidates": {"bestsellers": 10_001}}, "LightGBM ranks at most 10,000; lower them"),
        ({"candidates": {"purchases": 99, "similar": 101}, "neighbours": "x"}, "these counts allow 10,148 candidates of a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_message(shop: Path, tmp_path: Path, others: dict[str, Any], message: str) -> None:
    assert message in refused_by("rank", recipe(shop, tmp_path / "out", **others))


def test_articles_that_are_all_unknown(shop: Path, tmp_path: Path) -> None:
    other = pd.DataFrame({"id": ["x"], "product_id": ["x"], "source.department_no": ["1"]})
    other.to_parquet(tmp_path / "items.parquet")
    path = recipe(shop, tmp_path / "out", items=str(tmp_path / "items.parquet"))
    assert "48 of 48 items are not in it, such as 0100000000" in refused_by("rank", path)
    table = pd.DataFrame({"id": ["x"], "rank": [1], "neighbour": ["y"], "cosine": [0.5]})
    table.to_parquet(tmp_path / "near.parquet")
    near = {"neighbours": str(tmp_path / "near.parquet"), "candidates": {"similar": 2}}
    assert "expected articles that were bought" in refused_by("rank", recipe(shop, tmp_path / "out", **near))
    write_store(tmp_path / "others", ["x", "y"], np.eye(2))
    arms = [{"name": "nothing"}, {"name": "captions", "features": str(tmp_path / "others")}]
    path = recipe(shop, tmp_path / "out", arms=arms, against=["nothing"])
    assert "captions: expected more than 2 articles with features for 2 components, found 0" in refused_by("rank", path)


def test_what_customers_and_neighbours_lack_is_said(shop: Path, tmp_path: Path) -> None:
    table = pd.read_csv(shop / "csv" / "customers.csv", dtype=str).iloc[1:].drop(columns="Active")
    table.loc[[3, 5], "age"] = ["thirty", "inf"]
    table.to_csv(tmp_path / "customers.csv", index=False)
    near = {"id": [ARTICLES[24], "x"], "rank": [1, 1], "neighbour": [ARTICLES[47], "y"], "cosine": [0.5, 0.5]}
    pd.DataFrame(near).to_parquet(tmp_path / "near.parquet")
    others = {"customers": str(tmp_path / "customers.csv"), "neighbours": str(tmp_path / "near.parquet")}
    counts = {"purchases": 5, "bestsellers": 24, "similar": 2}
    screen = done("rank", recipe(shop, tmp_path / "out", candidates=counts, **others))
    content = content_of(tmp_path / "out")
    assert [one.split(": ")[1] for one in content["left_out"]] == [
        "1 rows are not of two articles of these purchases",
        "has at most 1 neighbours of an article of these purchases, fewer than candidates.similar=2",
        "1 of 41 customers are not in it",
        "has no column Active",
        "age of 2 customers is no number, such as 'thirty'",
    ]
    assert "age of 2 customers is no number" in screen
    features = {one["feature"] for one in content["rows"][2]["result"]["importances"]}
    assert features >= {"customer_age", "customer_club_member_status", "similar_to_bought"}
    assert "1 of 41 customers are not in it." in (tmp_path / "out" / "rank.html").read_text(encoding="utf-8")
    table[["customer_id"]].to_csv(tmp_path / "customers.csv", index=False)
    assert "expected the columns FN, Active, age" in refused_by(
        "rank", recipe(shop, tmp_path / "ids", candidates=counts, **others)
    )


def test_a_submission_without_the_file_of_customers_is_said_to_lack_some(shop: Path, tmp_path: Path) -> None:
    for name in ("transactions_train.csv", "articles.csv"):
        shutil.copy(shop / "csv" / name, tmp_path)
    done("purchases", tmp_path, "--out", tmp_path / "bought")
    submission = {"history": ["2020-09-05", "2020-09-06"], "arm": "captions"}
    loaded = load_recipe(recipe(shop, tmp_path / "out", purchases=str(tmp_path / "bought"), submission=submission))
    [lacking] = open_data(loaded).left_out
    assert "submission.csv lacks the customers without a purchase" in lacking
    assert not open_data(load_recipe(recipe(shop, tmp_path / "out", submission=submission))).left_out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((48, 3)), "all vectors are equal"),
        (np.ones((48, 2, 2)), "expected a vector an item, found rows of shape (2, 2)"),
        (np.eye(48, 1), "components: expected at most 1, the numbers of its vectors, found 2"),
    ],
)
def test_a_store_without_such_components_is_named_with_its_arm_before_anything_is_trained(
    shop: Path, tmp_path: Path, rows: Any, message: str
) -> None:
    write_store(tmp_path / "store", ARTICLES, rows)
    arms = [*values_of(shop, shop)["arms"], {"name": "last", "features": str(tmp_path / "store")}]
    found = refused_by("rank", recipe(shop, tmp_path / "out", arms=arms))
    assert found.startswith("arms: last: ") and message in found
    assert not (tmp_path / "out").exists()


def test_a_flag_has_a_name_of_its_own(shop: Path, tmp_path: Path) -> None:
    for name in ("department_no", "pc2"):
        arm = {"name": "both", "features": str(shop / "captions"), "flags": {name: str(shop / "few")}}
        path = recipe(shop, tmp_path / "out", arms=[*values_of(shop, shop)["arms"], arm])
        assert f"arms: both: there is another feature called {name}; rename the flag" in refused_by("rank", path)
