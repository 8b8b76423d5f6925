"""The score of composed retrieval is the cosine of a text with a difference, whatever is in the gallery."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.common.errors import UserError
from recommend.retrieval.search import Gallery, best, rank_of


def materialised(vectors: np.ndarray, reference: np.ndarray, text: np.ndarray) -> np.ndarray:
    """The differences made, one by one, in double precision."""
    scores = []
    for vector in vectors.astype(np.float64):
        difference = vector - reference.astype(np.float64)
        length = np.linalg.norm(difference) * np.linalg.norm(text.astype(np.float64))
        scores.append(difference @ text.astype(np.float64) / length if np.linalg.norm(difference) else 0.0)
    return np.array(scores)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), exponent=st.integers(-8, 0), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_scores_equal_materialised_differences_with_duplicates_and_the_reference(
    seed: int, exponent: int, scale: float
) -> None:
    draw = np.random.default_rng(seed)
    vectors = (scale * draw.normal(size=(12, 16))).astype(np.float32)
    vectors[3] = vectors[0]  # a duplicate of the reference
    vectors[5] = vectors[4]
    vectors[6] = vectors[0] * np.float32(1 + 10.0**exponent)  # a near one
    text = draw.normal(size=16).astype(np.float32)
    scores = Gallery([str(n) for n in range(12)], vectors).scores(vectors[0], text)
    np.testing.assert_allclose(scores, materialised(vectors, vectors[0], text), rtol=0, atol=1e-6)
    assert scores[0] == scores[3] == 0
    assert scores[4] == scores[5]
    assert np.abs(scores).max() <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-0.5, 0.0, 0.25, 1.0]), min_size=2, max_size=9), st.data())
def test_ranks_equal_a_sorted_list_ties_in_the_gallery_s_order(values: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    order = sorted(range(len(values)), key=lambda one: (-values[one], one))
    scores = np.array(values)
    assert rank_of(scores, place) == order.index(place) + 1
    assert best(scores, 3).tolist() == order[:3]


def test_another_reference_changes_the_ranking() -> None:
    vectors = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 3.0], [0.0, 3.0]])
    gallery, right = Gallery(list("abcd"), vectors), np.array([1.0, 0.0])
    assert [gallery.ids[place] for place in best(gallery.scores(vectors[0], right), 2)] == ["b", "c"]
    assert [gallery.ids[place] for place in best(gallery.scores(vectors[3], right), 2)] == ["c", "b"]


def test_a_text_without_direction_is_refused() -> None:
    with pytest.raises(UserError, match="no word of it is known"):
        Gallery(["a", "b"], np.eye(2)).scores(np.zeros(2), np.zeros(2))
