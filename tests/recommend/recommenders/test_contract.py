"""What every recommender must do. A new one adds itself to `CASES`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_purchases import ARTICLES, CUSTOMERS, drawn_purchases

from metrics.common.errors import UserError
from recommend.recommenders.base import PAD, ItemFeatures, Recommendations, Recommender
from recommend.recommenders.registry import RECOMMENDERS, load_recommender, saved_recommender

VBPR = {"factors": 4, "feature_factors": 3, "epochs": 2, "batch_size": 100}
CASES: dict[str, dict[str, Any]] = {
    "random": {"recommender": "random"},
    "most-popular": {"recommender": "most-popular"},
    "most-popular of a week": {"recommender": "most-popular", "days": 7},
    "repurchase": {"recommender": "repurchase"},
    "user-knn": {"recommender": "user-knn", "neighbours": 5},
    "user-knn as Elliot's": {"recommender": "user-knn", "neighbours": 5, "elliot_compat": True},
    "item-knn": {"recommender": "item-knn", "neighbours": 8},
    "als": {"recommender": "als", "factors": 4, "iterations": 3},
    "bpr": {"recommender": "bpr", "factors": 4, "iterations": 5},
    "content": {"recommender": "content"},
    "content of a table": {"recommender": "content-neighbours", "table": "neighbours.parquet"},
    "vbpr": {"recommender": "vbpr", **VBPR},
    "vbpr as in the paper": {"recommender": "vbpr-paper", **VBPR},
    "vbpr as we recommend": {"recommender": "vbpr-recommended", **VBPR},
    "vbpr without features": {"recommender": "bpr-mf", **VBPR},
    "hybrid": {"recommender": "hybrid", "settings_of_warm": {"neighbours": 8}},
}
EVERYBODY = np.arange(CUSTOMERS)
NOBODY = CUSTOMERS - 1  # the customer who has bought nothing


@pytest.fixture(autouse=True, scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The table of neighbours that one of the cases reads: each article's next three."""
    pairs = [(one, (one + step) % ARTICLES, 1 / (1 + step)) for one in range(ARTICLES) for step in (1, 2, 3)]
    folder = tmp_path_factory.mktemp("table")
    columns = pd.DataFrame(pairs, columns=["id", "neighbour", "cosine"])
    columns.assign(
        id=columns["id"].map("{:010d}".format), neighbour=columns["neighbour"].map("{:010d}".format)
    ).to_parquet(folder / "neighbours.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def features() -> ItemFeatures:
    rows = np.random.default_rng(5).normal(size=(ARTICLES, 6)).astype(np.float32)
    known = np.arange(ARTICLES) != 3
    return ItemFeatures(rows * known[:, None], known, "drawn")


def fitted(settings: dict[str, Any], seed: int = 0) -> Recommender:
    recommender = load_recommender(settings)
    recommender.fit(drawn_purchases(seed), features() if recommender.needs_features else None)
    return recommender


@pytest.fixture(params=list(CASES))
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return CASES[request.param]


@pytest.fixture
def recommender(settings: dict[str, Any]) -> Recommender:
    return fitted(settings)


def assert_equal(one: Recommendations, other: Recommendations) -> None:
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_every_recommender_is_tested() -> None:
    assert {case["recommender"] for case in CASES.values()} == set(RECOMMENDERS)


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("k", [5, ARTICLES])
def test_lists_are_ranked_and_end_in_pads(recommender: Recommender, k: int, exclude_seen: bool) -> None:
    found = recommender.recommend(EVERYBODY, k, exclude_seen)
    assert (found.ids.shape, found.ids.dtype) == ((CUSTOMERS, k), np.int32)
    assert (found.scores.shape, found.scores.dtype) == ((CUSTOMERS, k), np.float32)
    pads = found.ids == PAD
    assert found.short == pads.any(axis=1).sum()
    assert (found.scores[pads] == -np.inf).all() and np.isfinite(found.scores[~pads]).all()
    assert not (pads[:, :-1] & ~pads[:, 1:]).any()
    bought = drawn_purchases().matrix.toarray() > 0
    for customer in range(CUSTOMERS):
        ids, scores = found.ids[customer][~pads[customer]], found.scores[customer][~pads[customer]]
        assert len(set(ids)) == len(ids)
        assert ids.tolist() == [ids[place] for place in np.lexsort((ids, -scores))]  # ties by the lower place
        if exclude_seen:
            assert not bought[customer][ids].any()
    assert recommender.only_repeats or not pads[:NOBODY, :5].all()


def test_a_shorter_list_is_the_beginning_of_a_longer_one(recommender: Recommender) -> None:
    long, short = recommender.recommend(EVERYBODY, 20), recommender.recommend(EVERYBODY, 6)
    assert_equal(short, Recommendations(long.ids[:, :6], long.scores[:, :6]))


def test_a_list_does_not_depend_on_who_else_is_asked_for(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = recommender.recommend(EVERYBODY, 6)
    monkeypatch.setattr(type(recommender), "batch", 7)
    some = np.array([31, 4, 4, NOBODY])
    assert_equal(recommender.recommend(some, 6), Recommendations(everybody.ids[some], everybody.scores[some]))
    assert recommender.recommend(np.array([], dtype=np.int64), 6).ids.shape == (0, 6)


def test_without_a_history_all_get_the_same_or_nothing(settings: dict[str, Any]) -> None:
    recommender = load_recommender(settings)
    made = drawn_purchases()
    few = made.taken(made.customers > 5)
    recommender.fit(few, features() if recommender.needs_features else None)
    found = recommender.recommend(np.arange(6), 5)
    assert settings["recommender"] == "random" or len({tuple(row) for row in found.ids}) == 1


def test_the_same_seed_gives_the_same_lists_and_saving_changes_nothing(
    settings: dict[str, Any], recommender: Recommender, tmp_path: Path
) -> None:
    expected = recommender.recommend(EVERYBODY, 6)
    assert_equal(fitted(settings).recommend(EVERYBODY, 6), expected)
    recommender.save(tmp_path / "saved")
    loaded = saved_recommender(tmp_path / "saved")
    assert loaded.settings() == recommender.settings()
    assert_equal(loaded.recommend(EVERYBODY, 6), expected)
    assert_equal(loaded.recommend(EVERYBODY, 6, exclude_seen=False), recommender.recommend(EVERYBODY, 6, False))


def test_what_was_saved_is_not_replaced(recommender: Recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path / "saved")
    with pytest.raises(UserError, match="cannot write"):
        recommender.save(tmp_path / "saved")


def test_requests_that_cannot_be_answered(recommender: Recommender) -> None:
    with pytest.raises(UserError, match=rf"k: expected 1 to {ARTICLES}, .* found 41"):
        recommender.recommend(EVERYBODY, ARTICLES + 1)
    with pytest.raises(UserError, match=r"expected customers 0 to 59, found 60"):
        recommender.recommend(np.array([0, CUSTOMERS]), 5)


def test_nothing_to_learn_from_is_refused(settings: dict[str, Any]) -> None:
    recommender = load_recommender(settings)
    with pytest.raises(UserError, match="expected purchases to learn from, found none"):
        recommender.fit(drawn_purchases().taken(np.zeros(700, dtype=bool)), features())


def test_damaged_files_are_one_message(recommender: Recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path / "saved")
    written = tmp_path / "saved" / "recommender.json"
    for key in recommender.settings():
        lacking = {name: value for name, value in json.loads(written.read_text()).items() if name != key}
        whole = written.read_text()
        written.write_text(json.dumps(lacking))
        with pytest.raises(UserError, match=f"settings {key} of {recommender.name} are missing; fit it again"):
            saved_recommender(tmp_path / "saved")
        written.write_text(whole)
    arrays = next(path for path in sorted((tmp_path / "saved").iterdir()) if path.suffix != ".json")
    arrays.write_bytes(arrays.read_bytes()[:-40])
    with pytest.raises(UserError, match=arrays.name):
        saved_recommender(tmp_path / "saved")
    with pytest.raises(UserError, match="no such file"):
        saved_recommender(tmp_path)


def test_settings_that_do_not_exist() -> None:
    with pytest.raises(UserError, match=r"expected a recommender among random, .* found svd"):
        load_recommender({"recommender": "svd"})
    with pytest.raises(UserError, match="item-knn: expected settings among neighbours; found k;"):
        load_recommender({"recommender": "item-knn", "k": 3})
    with pytest.raises(UserError, match="item-knn: neighbours: expected a whole number from 1, found 0"):
        load_recommender({"recommender": "item-knn", "neighbours": 0})


def test_features_must_be_finite_and_of_these_articles() -> None:
    rows = np.zeros((3, 2), dtype=np.float32)
    rows[1, 0] = np.nan
    with pytest.raises(
        UserError, match="features photos: expected finite numbers, found NaN or infinity in 1 articles"
    ):
        ItemFeatures(rows, np.ones(3, dtype=bool), "photos")
    with pytest.raises(UserError, match="features photos: expected 40 rows, one for each article, found 3"):
        load_recommender(CASES["random"]).fit(
            drawn_purchases(), ItemFeatures(np.zeros((3, 2), np.float32), np.ones(3, dtype=bool), "photos")
        )
