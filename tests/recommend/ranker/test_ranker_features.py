"""Candidates and features against loops over the purchases; components of articles; lists."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from feature_stores import write_store
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.ranker import lgbm
from recommend.ranker.candidates import Candidates, Neighbours, candidates
from recommend.ranker.catalogue import Catalogue, ranked
from recommend.ranker.features import base_features
from recommend.ranker.history import history_of
from recommend.ranker.lgbm import fit, settings_of
from recommend.ranker.recipe import Arm, CandidateCounts, Ranker
from recommend.ranker.training import best
from recommend.ranker.vectors import added

FIRST = date(2020, 9, 1)
DAY = (FIRST - date(1970, 1, 1)).days
ARTICLES, CUSTOMERS, LAST = 7, 5, 3
CODES = np.array([0, 1, 1, -1, 2, 0, 0])
PRODUCTS = np.array([0, 0, 1, 1, 2, 3, 3])
NEAR = Neighbours(np.array([0, 2, 3, 3, 3, 3, 3, 3]), np.array([3, 1, 6], np.int32), np.array([0.9, 0.4, 0.7], "f4"), 0)
ROWS = st.lists(
    st.tuples(st.integers(0, CUSTOMERS - 1), st.integers(0, ARTICLES - 1), st.integers(0, LAST + 2)), max_size=25
)


def purchases(rows: list[tuple[int, int, int]]) -> Purchases:
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    ids = [f"0{place}" for place in range(ARTICLES)]
    return Purchases(columns[0].copy(), columns[1].copy(), columns[2] + DAY, CUSTOMERS, ids)


@given(ROWS, st.integers(0, 3), st.integers(1, 4), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_candidates_and_features_are_those_of_a_loop(
    rows: list[tuple[int, int, int]], last: int, best_selling: int, similar: int
) -> None:
    """Purchases after the history (days above `LAST`) count in nothing; nor does the order of the rows."""
    rows = [*rows, (0, 0, 0)]
    days = (FIRST, FIRST + timedelta(days=LAST))
    history = history_of(purchases(rows), days, "test")
    known = [row for row in rows if row[2] <= LAST]
    customers = np.array([0, 2, 4])
    counts = CandidateCounts(purchases=last, bestsellers=best_selling, similar=similar)
    found = candidates(history, customers, counts, NEAR)
    features = base_features(found, history, Catalogue({"department_no": CODES}, PRODUCTS, {}))
    sold = {article: sum(row[1] == article for row in known) for article in {row[1] for row in known}}
    ranking = sorted(sold, key=lambda article: (-sold[article], article))
    place = 0
    for number, customer in enumerate(customers):
        mine = {row[1]: max(other[2] for other in known if other[:2] == row[:2]) for row in known if row[0] == customer}
        latest = sorted(mine, key=lambda article: (-mine[article], article))[:last]
        cosines = {
            int(NEAR.articles[near]): max(
                float(NEAR.cosines[other])
                for article in latest
                for other in range(NEAR.starts[article], NEAR.starts[article + 1])[:similar]
                if NEAR.articles[other] == NEAR.articles[near]
            )
            for bought in latest
            for near in range(NEAR.starts[bought], NEAR.starts[bought + 1])[:similar]
        }
        wanted = sorted({*latest, *cosines, *ranking[:best_selling]})
        own = slice(place, place + len(wanted))
        assert found.articles[own].tolist() == wanted and set(found.owners[own]) == {number}
        place += len(wanted)
        for row, article in zip(range(own.start, own.stop), wanted, strict=True):
            times = sum((one[0], one[1]) == (customer, article) for one in known)
            expected = {
                "customer_articles": len(mine),
                "customer_purchases": sum(one[0] == customer for one in known),
                "customer_days_since_purchase": LAST + 1 - max(mine.values()) if mine else np.nan,
                "article_id": article,
                "department_no": CODES[article] if CODES[article] >= 0 else np.nan,
                "bestseller_rank": ranking.index(article) + 1 if article in ranking else np.nan,
                "bought_times": times,
                "bought_days_ago": LAST + 1 - mine[article] if times else np.nan,
                "similar_to_bought": cosines.get(article, np.nan),
                "bought_share_of_department_no": share(mine, CODES, article),
                "bought_share_of_product": share(mine, PRODUCTS, article),
            }
            assert {name: float(values[row]) for name, values in features.items()} == pytest.approx(
                expected, nan_ok=True
            )
    assert place == len(found.articles)


def share(mine: dict[int, int], codes: np.ndarray, article: int) -> float:
    return sum(codes[one] == codes[article] for one in mine) / len(mine) if mine else np.nan


def test_codes_rank_as_numbers_or_words_and_empty_ones_are_unknown() -> None:
    assert ranked(["10", "9", "", "1010016", "9"]).tolist() == [1, 0, -1, 2, 0]
    assert ranked(["B", "A", "", "10"]).tolist() == [2, 1, -1, 0]


def test_components_are_fitted_on_articles_and_only_on_the_bestsellers_if_these_alone_have_captions(
    tmp_path: Path,
) -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 4)) * [4, 3, 1, 1]
    ids = [f"0{place}" for place in range(ARTICLES)]
    write_store(tmp_path / "captions", ids[1:], vectors, dtype="float32")
    arm = Arm(name="captions", features=str(tmp_path / "captions"), likeness=True)
    found = added(arm, 2, ids, np.arange(ARTICLES), 0)
    model = PCA(2).fit(vectors)
    assert found is not None and found.about["variance"] == pytest.approx(model.explained_variance_ratio_.sum())
    np.testing.assert_allclose(np.abs(found.rows[1:]), np.abs(model.transform(vectors)), atol=1e-4)
    assert np.isnan(found.rows[0]).all() and found.known.tolist() == [False] + [True] * 6
    history = history_of(purchases([(1, 2, 0), (1, 3, 1), (2, 0, 0)]), (FIRST, FIRST), "test")
    pairs = Candidates(np.array([1, 2]), np.array([0, 0, 1]), np.array([0, 4, 4]), np.full(3, np.nan, "f4"))
    likeness = found.columns(pairs, history)["likeness"]
    one, other = (row / np.linalg.norm(row) for row in (found.rows[2], found.rows[4]))
    assert np.isnan(likeness[[0, 2]]).all() and likeness[1] == pytest.approx(float(one @ other), abs=1e-5)
    few = added(arm.model_copy(update={"bestsellers": 4}), 2, ids, np.array([6, 0, 5, 4, 3]), 0)
    assert few is not None and np.flatnonzero(few.known).tolist() == [4, 5, 6]


def test_lists_are_cut_and_equal_scores_rank_by_article() -> None:
    found = Candidates(np.array([3, 8]), np.repeat([0, 1], [13, 2]), np.r_[0:13, 5, 9], np.full(15, np.nan, "f4"))
    lists = best(found, np.r_[np.zeros(12), 1.0, 0.5, 0.5])
    assert lists[0].tolist() == [12, *range(11)]
    assert lists[1].tolist() == [5, 9, *[-1] * 10]


def test_the_paper_s_preset_is_one_dart_tree_and_candidates_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    rows, labels, groups = draw.normal(size=(400, 2)).astype("f4"), draw.random(400) < 0.3, np.full(40, 10)
    given = settings_of(Ranker(name="paper's tree", preset="paper"), 1, 1)
    fitted = fit(rows, labels, groups, ["a", "b"], given)
    assert fitted.booster.num_trees() == 1
    assert "[boosting: dart]" in fitted.booster.model_to_string()
    monkeypatch.setattr(lgbm, "MOST_CANDIDATES", 9)
    with pytest.raises(UserError, match=r"a customer has 10, and LightGBM takes at most 9; lower"):
        fit(rows, labels, groups, ["a", "b"], given)
