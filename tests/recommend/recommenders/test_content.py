"""Features of articles, content-based recommenders, and a list with places for cold articles."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feature_stores import write_store
from tastes import Tastes, purchases, tastes

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.recommenders.base import PAD, ItemFeatures
from recommend.recommenders.content import Content
from recommend.recommenders.content_table import NeighbourContent
from recommend.recommenders.features import item_features, random_features, without_features
from recommend.recommenders.hybrid import Hybrid

IDS = ["0005", "0010", "0020", "0030"]
ROWS = np.array([[1.0, 0, 2], [0, 3, 1], [2, 2, 2]])


@pytest.fixture(scope="module")
def data() -> Tastes:
    return tastes()


def test_features_are_those_of_the_articles_in_their_order(tmp_path: Path) -> None:
    store = FeatureStore.open(write_store(tmp_path / "photos", ["0020", "9", "0005"], ROWS, dtype="float32"))
    found = item_features(store, IDS)
    np.testing.assert_array_equal(found.rows, [ROWS[2], [0, 0, 0], ROWS[0], [0, 0, 0]])
    assert found.known.tolist() == [True, False, True, False] and found.name == "photos"
    assert without_features(found, IDS) == "photos: 2 of 4 articles have no features (0010, 0030)"
    assert without_features(random_features(4), IDS) is None
    with pytest.raises(UserError, match=r"photos: expected features of the articles .*, such as 20, found other items"):
        item_features(store, ["20", "5"])  # zeros stripped


def test_features_of_fewer_dimensions_keep_the_cosines_that_pca_keeps(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 5)) + 3
    ids = [f"i{place:02d}" for place in range(30)]
    store = FeatureStore.open(write_store(tmp_path / "photos", ids, rows, dtype="float32"))
    found = item_features(store, ids[::-1], 5)
    units = (rows - rows.mean(0))[::-1]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    centred = units - units.mean(0)
    np.testing.assert_allclose(found.rows @ found.rows.T, centred @ centred.T, atol=1e-5)
    assert item_features(store, ids, 2).rows.shape == (30, 2) and item_features(store, ids, 2).name == "photos PCA 2"


def test_content_scores_by_the_mean_cosine_to_what_was_bought(data: Tastes) -> None:
    known = np.arange(60) % 7 != 0
    features = ItemFeatures(np.where(known[:, None], data.features.rows, 0), known, "some")
    model = Content()
    model.fit(data.train, features)
    centred = np.where(known[:, None], features.rows - features.rows[known].mean(0), 0)
    lengths = np.linalg.norm(centred, axis=1)
    bought = data.train.matrix.toarray() * known
    found = model.recommend(np.arange(120), 60)
    for customer in (0, 17, 119):
        places = np.flatnonzero(bought[customer])
        cosines = centred[places] @ centred.T / np.outer(lengths[places], np.where(lengths > 0, lengths, 1))
        scores = np.where(known & (data.train.matrix[customer].toarray()[0] == 0), cosines.mean(0), -np.inf)
        order = np.lexsort((np.arange(60), -scores))
        count = int(np.isfinite(scores).sum())
        np.testing.assert_allclose(found.scores[customer], scores[order], atol=1e-5)
        assert (found.ids[customer, :count] == order[:count]).mean() > 0.9  # all but near ties
        assert (found.ids[customer, count:] == PAD).all()


def table(path: Path, rows: list[tuple[str, int, str, float]]) -> NeighbourContent:
    pd.DataFrame(rows, columns=["id", "rank", "neighbour", "cosine"]).to_parquet(path)
    return NeighbourContent(str(path))


def test_content_by_a_table_of_neighbours(tmp_path: Path) -> None:
    rows = [("0000", 1, "0002", 0.9), ("0000", 2, "0003", 0.5), ("0001", 1, "0003", 0.8), ("0001", 2, "0000", 0.7)]
    model = table(tmp_path / "neighbours.parquet", [*rows, ("0001", 3, "unsold", 0.6)])
    model.fit(purchases(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3, 4))
    found = model.recommend(np.arange(3), 4)
    assert found.ids.tolist() == [[3, 2, PAD, PAD], [3, 0, PAD, PAD], [PAD] * 4]
    np.testing.assert_allclose(found.scores[0, :2], [(0.5 + 0.8) / 2, 0.9 / 2])
    np.testing.assert_allclose(found.scores[1, :2], [0.8, 0.7])
    assert model.left_out == 1
    assert model.recommend(np.array([0]), 4, exclude_seen=False).ids[0].tolist() == [3, 2, 0, PAD]


def test_tables_that_are_none_of_these_articles(tmp_path: Path) -> None:
    bought = purchases(np.array([0, 1]), np.array([0, 1]), 2, 2)
    path = tmp_path / "neighbours.parquet"
    with pytest.raises(UserError, match=r"neighbours.parquet: no such file; write it with `lookbook similar"):
        NeighbourContent(str(path)).fit(bought)
    with pytest.raises(UserError, match="expected articles that were bought, such as 0000, found others"):
        table(path, [("0", 1, "1", 0.9)]).fit(bought)
    with pytest.raises(UserError, match="a pair of articles is there twice"):
        table(path, [("0000", 1, "0001", 0.9), ("0000", 2, "0001", 0.9)]).fit(bought)
    with pytest.raises(UserError, match="a cosine is not finite"):
        table(path, [("0000", 1, "0001", np.inf)]).fit(bought)
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="cannot read the table"):
        NeighbourContent(str(path)).fit(bought)


def test_a_hybrid_keeps_every_fourth_place_for_cold_articles(data: Tastes) -> None:
    model, warm = Hybrid(warm="most-popular"), Hybrid(warm="most-popular", share=0.001)
    for one in (model, warm):
        one.fit(data.train, data.features)
    customers = np.arange(120)
    found = model.recommend(customers, 12)
    cold = data.cold[found.ids]
    assert (cold == (np.arange(12) % 4 == 3)).all()
    assert not data.cold[warm.recommend(customers, 12).ids].any()
    assert (found.ids[::2, 3] % 4 == customers[::2] % 4).all()  # of the liked kind; cold ones are of kinds 0 and 2
    everything = model.recommend(customers, 60)
    assert (np.sort(everything.ids, axis=1)[:, -6:] >= 0).all() and (
        np.diff(everything.scores[:, :12], axis=1) < 0
    ).all()
    for ids in everything.ids:
        assert len(set(ids[ids >= 0])) == (ids >= 0).sum()


def test_hybrids_that_cannot_be() -> None:
    with pytest.raises(UserError, match=r"hybrid: warm: expected one of item-knn, .* found content"):
        Hybrid(warm="content")
    with pytest.raises(UserError, match="hybrid: share: expected a number between 0 and 1, found 1"):
        Hybrid(share=1)
    with pytest.raises(UserError, match="hybrid: settings_of_warm: most-popular does not have them"):
        Hybrid(warm="most-popular", settings_of_warm={"size": 3})


def test_a_hybrid_gives_its_seed_to_what_it_joins(data: Tastes) -> None:
    """So that its signature is true; a seed among the settings of that goes first."""

    def lists(**settings: Any) -> list[list[int]]:
        model = Hybrid(warm="bpr", **settings)
        model.fit(data.train, data.features)
        found: list[list[int]] = model.recommend(np.arange(20), 5).ids.tolist()
        return found

    few = {"iterations": 5, "factors": 4}
    assert lists(seed=7, settings_of_warm=few) != lists(seed=8, settings_of_warm=few)
    assert lists(seed=7, settings_of_warm=few) == lists(seed=8, settings_of_warm={**few, "seed": 7})
