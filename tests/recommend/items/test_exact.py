"""The blocked search equals brute force, whatever the blocks, ties and pairs left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommend.items import exact
from recommend.items.exact import Pairs, all_nearest, search

# Whole numbers, so that dot products are exact and ties are ties.
NUMBERS = st.integers(-2, 2)


def matrix(rows: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    return rows.flatmap(lambda n: arrays(np.float32, (n, 3), elements=NUMBERS))


def brute_force(query: np.ndarray, rows: np.ndarray, allowed: np.ndarray, k: int) -> list[tuple[float, int]]:
    """Score and place of the k best allowed rows; padded as `Found` is."""
    scored = sorted((-float(row @ query), place) for place, row in enumerate(rows) if allowed[place])[:k]
    return [(-negative, place) for negative, place in scored] + [(-np.inf, -1)] * (k - len(scored))


@given(matrix(st.integers(1, 4)), matrix(st.integers(1, 30)), st.integers(1, 12), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_search_equals_brute_force(queries: np.ndarray, rows: np.ndarray, k: int, size: int) -> None:
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    found = search(queries, blocks, k)
    for query, scores, places in zip(queries, found.scores, found.places, strict=True):
        expected = brute_force(query, rows, np.ones(len(rows), bool), k)
        assert list(zip(scores.tolist(), places.tolist(), strict=True)) == expected


@given(matrix(st.integers(2, 20)), st.integers(1, 6), st.data())
@settings(max_examples=40, deadline=None)
def test_all_nearest_equals_brute_force(rows: np.ndarray, k: int, data: st.DataObject) -> None:
    codes = arrays(np.int32, len(rows), elements=st.integers(0, 3))
    apart, alike = data.draw(codes), data.draw(st.none() | codes)
    queried = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "QUERIES", data.draw(st.integers(1, 7)))
        patch.setattr(exact, "ROWS", data.draw(st.integers(1, 7)))
        found = list(all_nearest(rows, k, Pairs(apart, alike), queried))
    assert [start for start, _ in found] == list(np.cumsum([0, *(len(part.places) for _, part in found[:-1])]))
    scores = np.concatenate([part.scores for _, part in found])
    places = np.concatenate([part.places for _, part in found])
    for number, item in enumerate(queried):
        allowed = (apart != apart[item]) & (True if alike is None else alike == alike[item])
        expected = brute_force(rows[item], rows, allowed, k)
        assert list(zip(scores[number].tolist(), places[number].tolist(), strict=True)) == expected


def test_an_item_is_not_its_own_neighbour() -> None:
    rows = np.ones((5, 2), np.float32)
    ((_, found),) = all_nearest(rows, 2)
    assert found.places.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]
