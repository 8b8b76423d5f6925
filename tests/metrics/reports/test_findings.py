"""What counts as an error in one caption, kind by kind, and what does not."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.reports.findings.kinds import KINDS, Case, Found, Limits
from metrics.reports.findings.lexicons import tokens
from metrics.reports.findings.reading import read

RELATIVE = ("colour_confused", "material_confused", "material_invented", "number_invented", "claim_invented")


def find(kind: str, caption: str, *references: str, limits: Limits | None = None, **more: bool | str) -> Found | None:
    chosen = next(one for one in KINDS if one.name == kind)
    case = Case(caption, read(caption), [read(reference) for reference in references], **more)  # type: ignore[arg-type]
    return chosen.find(case, limits or Limits(longest=20))


@pytest.mark.parametrize(
    ("reference", "caption", "pairs"),
    [
        ("a dark blue coat", "a black coat", [("dark blue", "black")]),
        ("a coat in NAVY-BLUE", "grey/black coats", [("navy blue", "grey"), ("navy blue", "black")]),
        ("two blacks", "two reds", [("black", "red")]),
        ("greyish green trousers", "pink trousers", [("greyish green", "pink")]),
    ],
)
def test_another_colour_is_confused(reference: str, caption: str, pairs: Found) -> None:
    assert find("colour_confused", caption, reference) == pairs


@pytest.mark.parametrize(
    ("reference", "caption"),
    [
        ("a dark blue coat", "a blue coat"),  # a modifier refines
        ("a light blue coat", "a dark blue coat"),
        ("a navy coat", "a denim blue coat"),
        ("cream trousers", "off-white trousers"),  # a shade between two families is of both
        ("turquoise top", "green top"),
        ("a black dress with a red collar", "a red dress"),  # one of theirs is enough
        ("a red dress", "a black dress with a red collar"),
    ],
)
def test_a_shade_of_the_same_family_is_not(reference: str, caption: str) -> None:
    assert find("colour_confused", caption, reference) == ()


@pytest.mark.parametrize(
    ("reference", "caption"),
    [
        ("a striped coat", "a black coat"),  # the photo may well show it
        ("a black coat", "a striped coat"),
        ("a black-tie dress for the red carpet", "an infrared sensor in a pinkish-looking bluebell"),
    ],
)
def test_a_colour_that_only_one_names_is_not_compared(reference: str, caption: str) -> None:
    assert find("colour_confused", caption, reference) is None


@pytest.mark.parametrize(
    ("reference", "caption", "confused", "invented"),
    [
        ("a satin top", "a velvet top", [("satin", "velvet")], []),
        ("a knitted top", "a polyester top", None, [("polyester",)]),
        ("a cotton top", "a cotton and polyester top", [], [("polyester",)]),
        ("a cotton top", "a satin top", None, [("satin",)]),  # a fibre and a fabric do not exclude each other
        ("a cotton satin top", "a silk satin top", [("cotton", "silk")], []),
        ("a nylon bag", "a polyamide bag", [], []),
        ("organic cotton", "recycled cottons", [], []),
        ("a jacket", "a denim-blue, lace-up jacket with laces, a NEW JERSEY print and a velveteen-like look", None, []),
        ("faux leather", "leather", [("imitation leather", "leather")], []),
        ("cre\u0302pe dress", "crepe dress", [], []),
    ],
)
def test_materials(reference: str, caption: str, confused: Found | None, invented: Found) -> None:
    assert find("material_confused", caption, reference) == confused
    assert find("material_invented", caption, reference) == invented


@pytest.mark.parametrize(
    ("reference", "caption", "numbers"),
    [
        ("a bag. width 30 cm", "a bag. width 33 cm", ["33 cm"]),
        ("a bag", "a bag, 10x15cm, 1,5 l, 100% cotton, 20-denier", ["10", "15 cm", "1.5 l", "100 %", "20 denier"]),
        ("size 33.0 CM", "33cm", []),
        ("5-pocket trousers", "5 pockets", []),
        ("heel 8 cm", "heel 8 mm", ["8 mm"]),
        ("three-pack", "3-pack of t-shirts", []),
        ("1,000 sequins", "1000 sequins", []),
        ("sizes 1½-4", "sizes 1.5 to 4", []),
        ("3/4-length sleeves", "3/4 sleeves in H2O proof mp3", []),
        ("a bag", "two bags", []),  # numbers in words are often to be seen
    ],
)
def test_numbers(reference: str, caption: str, numbers: list[str]) -> None:
    assert find("number_invented", caption, reference) == [(number,) for number in numbers]


def test_claims() -> None:
    said = (
        "in Better Cotton Initiative cotton, Italian leather, made in the USA and designed by nobody; part of proceeds"
    )
    claims = ["better cotton initiative", "italian leather", "made in the usa", "designed by", "proceeds"]
    assert find("claim", said) == [(claim,) for claim in claims]
    assert find("claim_invented", said, "made in the usa. proceeds are donated") == [
        (claim,) for claim in ("better cotton initiative", "italian leather", "designed by")
    ]
    assert find("claim", "a better top in Italian style, made in cotton, for an organiser") == []


def test_run_on_repeated_and_left_over() -> None:
    assert find("runs_on", "a b c") == []
    assert find("runs_on", "a " * 21, finished=False) == [("not finished",), ("21 words",)]
    assert find("runs_on", "a " * 20, finished=True) == []
    assert find("echo", "a top with with a zip and buttons, and buttons,") == [("with",)]
    assert find("echo", "a red top a red top") == [("a red top",)]
    assert find("echo", "Tops. Tops in size 1, 1, 5 5 and bow tie/tie, a b a c") == ()
    assert find("repeated", "zip at the front. a bow, zip at the front. end") == [("zip at the front",)]
    assert find("repeated", "zip at the side, zip at the back") == ()
    assert find("left_over", "USER: <image> a top. Assistant : a top</s> <|im_end|>") == [
        (mark,) for mark in ("user:", "<image>", "assistant:", "</s>", "<|im_end|>")
    ]
    prompts = Limits(20, prompts=["describe the clothing item."])
    assert find("left_over", "Describe the clothing item. A top", limits=prompts) == [("describe the clothing item.",)]
    assert find("left_over", "a top for the user: <3, [sic]", limits=prompts) == [("user:",)]


def test_sales_tone_categories_and_copies() -> None:
    assert find("sales_tone", "You’ll love this must-have!") == [("you'll",), ("must have",), ("!",)]
    assert find("sales_tone", "a youthful top that must have been washed. perfectly fit") == [("must have",)]
    assert find("category_confused", "x", category="Blazer", predicted="Jacket") == [("Blazer", "Jacket")]
    assert find("category_confused", "x", category="Blazer", predicted="Blazer") == ()
    assert find("category_confused", "x", predicted="Blazer") is None
    known = Limits(20, training=frozenset({"a crêpe dress"}))
    assert find("copied", " a cre\u0302pe\u00a0 dress", limits=known) == [("a crêpe dress",)]
    assert find("copied", "a crêpe dress.", limits=known) == ()


PHRASES = ["dark blue", "denim blue", "Cream", "cotton", "satins", "faux leather", "laces", "better cotton initiative"]
PHRASES += ["made in the usa", "33 cm", "1,5", "two", "10x15cm", "3/4", "recycled", "you'll", "must-have", ",", "."]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PHRASES), st.text(max_size=8)), max_size=12).map(" ".join))
def test_a_copy_of_the_reference_invents_nothing(text: str) -> None:
    for kind in RELATIVE:
        assert not find(kind, text, text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("ab1Σİe\u0301ſ ,.\u00a0\x1c\u2003'’&-/½"), max_size=20))
def test_tokens_are_those_of_the_whole_text(text: str) -> None:
    whole = unicodedata.normalize("NFC", text).replace("’", "'").lower()
    assert list(tokens(text)) == re.findall(r"\d+(?:[.,/]\d+)+|[^\W_]+(?:['&][^\W_]+)*|[.,;:!?()/]+", whole)
