"""The measures against arithmetic written out here, and their properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.measures.bleu import bleu, bleu_per_item, bleu_statistics
from metrics.measures.cider import CiderScorer
from metrics.measures.rouge import rouge_per_item
from metrics.text.ngrams import NgramTable

captions = st.lists(st.sampled_from("abcdefgh"), max_size=12).map(" ".join)
pairs = st.lists(st.tuples(captions, st.lists(captions, min_size=1, max_size=5)), min_size=1, max_size=8)


def cider(candidates: list[str], references: list[list[str]]) -> np.ndarray:
    table = NgramTable([*candidates, *(text for texts in references for text in texts)])
    return CiderScorer(references, table).per_item(candidates)


def test_bleu_counts_clips_and_punishes_short_captions() -> None:
    counts = bleu_statistics(["a a a b"], [["a a c", "a b d e f g"]])
    # 4 tokens; references of 3 and 6: the nearer is 3. a is clipped to 2, b counts: 3 of 4 unigrams; bigrams "a a"
    # (clipped to 1) and "a b": 2 of 3; no trigram is right.
    assert counts.tolist() == [[4, 3, 4, 3, 2, 1, 3, 2, 0, 0]]
    assert bleu(counts[0])[:2] == pytest.approx((3 / 4, math.sqrt(3 / 4 * 2 / 3)))
    short = bleu_statistics(["a b"], [["a b c d"]])
    assert bleu(short[0])[:2] == pytest.approx((math.exp(1 - 4 / 2), math.exp(1 - 4 / 2)))


def test_of_two_equally_near_reference_lengths_bleu_takes_the_shorter() -> None:
    assert bleu_statistics(["a b c"], [["a b c d", "a b"]])[0, 1] == 2


def test_rouge_takes_the_best_precision_and_the_best_recall() -> None:
    # Against "a c": 2 in common, precision 2/4, recall 2/2. Against "a b c x y z": 3, precision 3/4, recall 3/6.
    expected = (1 + 1.2**2) * 0.75 * 1.0 / (1.0 + 1.2**2 * 0.75)
    assert rouge_per_item(["a b c d"], [["a c", "a b c x y z"]]) == pytest.approx([expected])


def test_rouge_splits_at_spaces_and_the_others_at_any_white_space() -> None:
    half = "10\u00a01/2"
    assert rouge_per_item([half], [["10 1/2"]]).tolist() == [0.0]
    assert bleu(bleu_statistics([half], [["10 1/2"]])[0])[1] == pytest.approx(1.0)


def test_cider_of_one_shared_word() -> None:
    # Two items; "a" is in one item's reference: weight ln 2 on both sides, cosine 1 for unigrams and nothing longer;
    # mean over four orders, times 10.
    assert cider(["a", "x"], [["a"], ["b"]]) == pytest.approx([10 / 4, 0.0])
    # A word that all items share weighs nothing; one item alone has no inverse document frequency at all.
    assert cider(["a", "a"], [["a"], ["a"]]).tolist() == [0.0, 0.0]
    assert cider(["a b c d"], [["a b c d"]]).tolist() == [0.0]


def test_nothing_against_nothing() -> None:
    counts = bleu_statistics(["", ""], [["a"], [""]])
    assert bleu_per_item(counts).tolist() == [[0.0] * 4] * 2
    assert rouge_per_item(["", ""], [["a"], [""]]).tolist() == [0.0, 1.0]
    assert cider(["", ""], [["a"], [""]]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("measure", [bleu_statistics, rouge_per_item, cider])
def test_an_item_without_a_reference_is_refused(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="has no reference"):
        measure(["a", "b"], [["a"], []])


@settings(max_examples=60, deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_permuting_items_permutes_their_scores(items: list[tuple[str, list[str]]], shuffle) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(items)))
    shuffle.shuffle(order)
    candidates, references = [c for c, _ in items], [r for _, r in items]
    moved = [candidates[i] for i in order], [references[i] for i in order]
    assert (bleu_statistics(*moved) == bleu_statistics(candidates, references)[order]).all()
    assert (rouge_per_item(*moved) == rouge_per_item(candidates, references)[order]).all()
    assert (cider(*moved) == cider(candidates, references)[order]).all()


@settings(max_examples=60, deadline=None)
@given(pairs, captions, captions)
def test_another_item_changes_nobodys_bleu_or_rouge(
    items: list[tuple[str, list[str]]], candidate: str, reference: str
) -> None:
    candidates, references = [c for c, _ in items], [r for _, r in items]
    more = [*candidates, candidate], [*references, [reference]]
    assert (bleu_statistics(*more)[:-1] == bleu_statistics(candidates, references)).all()
    assert (rouge_per_item(*more)[:-1] == rouge_per_item(candidates, references)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=12).map(" ".join))
def test_identical_captions_score_one(caption: str) -> None:
    assert bleu_per_item(bleu_statistics([caption], [[caption]])) == pytest.approx(1.0, abs=1e-8)
    assert rouge_per_item([caption], [[caption]]) == pytest.approx(1.0, abs=1e-8)
