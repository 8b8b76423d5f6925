"""What each recommender learns: against dense matrices, loops and hand-computed lists."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_purchases import CUSTOMERS, drawn_purchases
from purchase_files import bought

from metrics.common.errors import UserError
from recommend.interactions.interactions import Purchases
from recommend.recommenders import popular
from recommend.recommenders.base import PAD
from recommend.recommenders.factors import ALS, BPR
from recommend.recommenders.knn import ItemKNN, UserKNN
from recommend.recommenders.popular import MostPopular, Random, Repurchase
from recommend.recommenders.selection import best_products, best_stored

BINARY = arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 7))).filter(lambda matrix: matrix.any())


def purchases(matrix: Any) -> Purchases:
    rows, columns = np.nonzero(matrix)
    triples = np.column_stack([rows, columns, np.zeros_like(rows)]).tolist()
    return bought(*triples, customers=matrix.shape[0], articles=matrix.shape[1])


def cosines(matrix: Any) -> Any:
    """Of the columns of a binary matrix, (d, d); 0 for empty ones."""
    counts = matrix.T.astype(float) @ matrix
    lengths = np.sqrt(np.maximum(np.diag(counts), 1))
    return counts / np.outer(lengths, lengths)


def ranked(scores: Any, seen: Any, k: int) -> Any:
    """The k best by a loop over all articles: those above 0 and not seen, ties by the lower place."""
    scores = scores.astype(np.float32)
    lists = []
    for row, hidden in zip(scores, seen, strict=True):
        order = [place for place in np.argsort(-row, kind="stable") if row[place] > 0 and not hidden[place]]
        lists.append([*order, *[PAD] * k][:k])
    return np.array(lists)


def assert_largest(kept: Any, similarity: Any, k: int) -> None:
    """Each row of `kept` has its k largest similarities; which of equal ones is open."""
    for row, values in zip(kept, similarity, strict=True):
        assert row[row > 0] == pytest.approx(values[row > 0])
        assert np.sort(row)[::-1][:k] == pytest.approx(np.sort(values)[::-1][:k])
        assert (row > 0).sum() <= k


@settings(max_examples=60, deadline=None)
@given(BINARY, st.integers(1, 4), st.booleans())
def test_item_knn_equals_brute_force(matrix: Any, neighbours: int, exclude: bool) -> None:
    model = ItemKNN(neighbours)
    model.fit(purchases(matrix))
    kept = model.weights.toarray().T  # a row for each target
    assert_largest(kept, cosines(matrix), neighbours)
    expected = ranked(matrix @ kept.T, matrix & exclude, 2)
    np.testing.assert_array_equal(model.recommend(np.arange(len(matrix)), 2, exclude).ids, expected)


@settings(max_examples=60, deadline=None)
@given(BINARY, st.integers(1, 4), st.booleans())
def test_user_knn_equals_brute_force(matrix: Any, neighbours: int, exclude: bool) -> None:
    model = UserKNN(neighbours)
    model.fit(purchases(matrix))
    kept = model.weights.toarray()
    others = cosines(matrix.T)
    np.fill_diagonal(others, 0)
    assert_largest(kept, others, neighbours)
    expected = ranked(kept @ matrix, matrix & exclude, 2)
    np.testing.assert_array_equal(model.recommend(np.arange(len(matrix)), 2, exclude).ids, expected)


@settings(max_examples=60, deadline=None)
@given(BINARY, st.integers(1, 4))
def test_user_knn_as_elliot_has_it_equals_brute_force(matrix: Any, neighbours: int) -> None:
    model = UserKNN(neighbours, elliot_compat=True)
    model.fit(purchases(matrix))
    kept = model.weights.toarray()
    assert_largest(kept.T, cosines(matrix.T), neighbours)  # a column holds the neighbours of its customer
    expected = ranked(kept @ matrix, matrix, 2)
    np.testing.assert_array_equal(model.recommend(np.arange(len(matrix)), 2).ids, expected)


def test_item_knn_chooses_neighbours_of_the_target() -> None:
    # Article 0 is the most similar to 1, 2 and 3, but of these 0 keeps only 1.
    matrix = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 1, 0]], dtype=bool)
    model = ItemKNN(2)
    model.fit(purchases(matrix))
    assert model.weights.toarray()[2, 0] == 0
    assert model.weights.toarray()[0, 2] == pytest.approx(1 / np.sqrt(5 * 2))
    # Who bought 2 alone is not offered 0, which does not keep 2; who bought 0 is offered 2.
    assert model.recommend(np.array([5]), 3).ids.tolist() == [[PAD, PAD, PAD]]
    assert model.recommend(np.array([0]), 3).ids.tolist() == [[3, 2, PAD]]


def test_user_knn_and_the_reverse_neighbours() -> None:
    # 0 is nearest to 1; nearest to 2 is 0, so that 0 is in 2's column: in Elliot's order 2 counts for 0, not 0 for 2.
    matrix = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 1]], dtype=bool)
    everybody = np.arange(3)
    right, reverse = UserKNN(1), UserKNN(2, elliot_compat=True)
    right.fit(purchases(matrix))
    reverse.fit(purchases(matrix))
    assert right.recommend(everybody, 2).ids.tolist() == [[4, PAD], [3, PAD], [0, 1]]
    assert reverse.recommend(everybody, 2).ids.tolist() == [[4, 5], [3, PAD], [PAD, PAD]]


def test_a_customer_whom_many_equal_has_as_many_neighbours_as_others() -> None:
    model = UserKNN(3)
    model.fit(purchases(np.ones((9, 2), dtype=bool)))
    assert model.weights.getnnz(axis=1).tolist() == [3] * 9
    assert not model.weights.diagonal().any()


def test_most_popular_by_hand_and_in_a_window() -> None:
    rows = [(0, 0, 1), (0, 0, 2), (1, 0, 1), (1, 1, 1), (2, 1, 9), (3, 2, 9), (4, 2, 8), (3, 1, 2), (0, 3, 3)]
    whole, window = MostPopular(), MostPopular(days=2)
    for model in (whole, window):
        model.fit(bought(*rows, customers=6, articles=5))
    found = whole.recommend(np.array([5, 0]), 4)
    assert found.ids.tolist() == [[1, 0, 2, 3], [1, 2, 4, PAD]]  # 0 counts for two customers, not for three purchases
    assert found.scores[0].tolist() == [3, 2, 2, 1]
    assert window.recommend(np.array([5]), 3).ids.tolist() == [[2, 1, 0]]  # days 8 and 9
    assert window.recommend(np.array([5]), 3).scores.tolist() == [[2, 1, 0]]


def test_repurchase_by_hand() -> None:
    model = Repurchase()
    model.fit(bought((0, 2, 5), (0, 4, 3), (0, 4, 9), (0, 1, 9), (1, 3, 4), customers=3, articles=5))
    found = model.recommend(np.arange(3), 3, exclude_seen=False)
    assert found.ids.tolist() == [[1, 4, 2], [3, PAD, PAD], [PAD, PAD, PAD]]
    assert found.scores[0].tolist() == [7, 7, 3]  # days from day 3
    assert (model.recommend(np.arange(3), 3).ids == PAD).all()


def test_random_lists_are_even_over_articles_and_places() -> None:
    count, articles, k = 20_000, 11, 3
    model = Random(seed=3)
    model.fit(bought((0, 0, 0), customers=count, articles=articles))
    ids = model.recommend(np.arange(count), k, exclude_seen=False).ids
    for place in range(k):
        shares = np.bincount(ids[:, place], minlength=articles) / count
        assert shares == pytest.approx(np.full(articles, 1 / articles), abs=0.01)
    pairs = np.bincount(ids[:, 0] * articles + ids[:, 2], minlength=articles**2).reshape(articles, articles) / count
    assert pairs[~np.eye(articles, dtype=bool)] == pytest.approx(np.full(110, 1 / 110), abs=0.004)
    other = Random(seed=4)
    other.fit(bought((0, 0, 0), customers=count, articles=articles))
    assert (other.recommend(np.arange(count), k).ids != ids).any()


def test_a_prime_is_the_first_that_is_no_smaller() -> None:
    assert [popular._prime_from(least) for least in (1, 3, 4, 90, 105_542)] == [2, 3, 5, 97, 105_557]


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (5, 11), elements=st.sampled_from([-1.0, 0.0, 0.25, 1.0, 1e-30, 3e38])), st.integers(1, 11))
def test_the_best_of_sparse_and_of_dense_scores_equal_a_loop(scores: Any, k: int) -> None:
    found = best_stored(scipy.sparse.csr_matrix(scores), k)
    np.testing.assert_array_equal(found.ids, ranked(scores, np.zeros(scores.shape, bool), k))
    chosen = np.take_along_axis(scores, np.maximum(found.ids, 0), axis=1)
    np.testing.assert_array_equal(found.scores, np.where(found.ids == PAD, -np.inf, chosen))
    seen = scores == 1
    dense = best_products(scores, np.eye(11, dtype=np.float32), k, scipy.sparse.csr_matrix(seen))
    for row, ids in enumerate(dense.ids):
        order = [place for place in np.argsort(-scores[row], kind="stable") if not seen[row, place]]
        assert ids.tolist() == [*order, *[PAD] * k][:k]


def test_als_solves_its_normal_equations() -> None:
    """At the optimum, which alternating comes near to, (A'A + a sum of bought rows + l E) x = (1 + a) sum of them."""
    model = ALS(factors=3, iterations=200, regularization=0.1, alpha=2.0)
    model.fit(drawn_purchases())
    factors = model.article_factors.astype(float)
    for customer in (0, 7):
        own = factors[model.history[customer].indices]
        left = factors.T @ factors + (2.0 - 1) * own.T @ own + 0.1 * np.eye(3)
        assert model.customer_factors[customer] == pytest.approx(np.linalg.solve(left, 2.0 * own.sum(axis=0)), abs=2e-3)
    assert not model.customer_factors[CUSTOMERS - 1].any()


def test_a_training_that_diverges_is_one_message() -> None:
    with pytest.raises(UserError, match="NaN encountered in factors; lower the learning rate"):
        BPR(factors=4, learning_rate=1e30).fit(drawn_purchases())


def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    model = ALS(factors=3, iterations=1)
    model.fit(drawn_purchases())
    model.article_factors = model.article_factors[:, :2]
    model.save(tmp_path / "saved")
    with pytest.raises(UserError, match=r"arrays.npz: not what als saves .*; fit it again"):
        ALS.load(tmp_path / "saved")
