"""Words of a text that are attributes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.viewer.marks import Piece, marked


def found(text: str, *lemmas: str) -> list[str]:
    return [piece.text for piece in marked(text, {"right": lemmas}) if piece.kind]


@pytest.mark.parametrize(
    ("text", "lemma", "words"),
    [
        ("Pockets and a pocket", "pocket", ["Pockets", "pocket"]),
        ("a striped top", "stripe", ["striped"]),
        ("lined, unlined", "line", ["lined"]),
        ("trimmed hems", "trim", ["trimmed"]),
        ("two dresses", "dress", ["dresses"]),
        ("ruffled scarves", "scarf", ["scarves"]),
        ("a pair of knives", "knife", ["knives"]),
        ("wide sleeves", "sleeve", ["sleeves"]),
        ("patterned bodies", "body", ["bodies"]),
        ("fitting", "fit", ["fitting"]),
        ("a wider leg, the widest", "wide", ["wider", "widest"]),
        ("dresser", "dress", ["dresser"]),
        ("a v-neck", "v-neck", ["v-neck"]),
        ("a v-neck", "neck", ["neck"]),
        ("3/4-length", "length", ["length"]),
        ("CRÊPE", "crêpe", ["CRÊPE"]),
        ("a cotton dress", "cot", []),
        ("feet", "foot", []),
        ("bus", "bu", ["bus"]),
        ("as is", "a", []),
    ],
)
def test_a_lemma_is_found_in_its_inflected_words(text: str, lemma: str, words: list[str]) -> None:
    assert found(text, lemma) == words


def test_the_kinds_are_kept_apart() -> None:
    pieces = marked("Red dress, with buttons.", {"right": ["dress"], "invented": ["button"]})
    assert pieces == [
        Piece("Red "),
        Piece("dress", "right"),
        Piece(", with "),
        Piece("buttons", "invented"),
        Piece("."),
    ]


@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=5), max_size=5))
def test_the_pieces_are_the_text(text: str, lemmas: list[str]) -> None:
    assert "".join(piece.text for piece in marked(text, {"missed": lemmas})) == text
