"""What forms of ratings may say, and the order of captions when systems are hidden."""

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import UserError
from metrics.viewer.ratings.forms import make_sheet, read_fields, read_rater, read_ratings

NAMES = ["category", "pretrained", "fine-tuned", "shuffled"]
SYSTEMS = {name: f"a dress by {name}" for name in NAMES}


def test_blind_the_order_differs_by_item_and_rater_but_repeats() -> None:
    orders = {
        (item, rater): tuple(make_sheet(f"i{item}", rater, True, SYSTEMS).systems.values())
        for item in range(40)
        for rater in ("ann", "bob")
    }
    assert len(set(orders.values())) > 20  # of 24
    assert sum(orders[item, "ann"] != orders[item, "bob"] for item in range(40)) > 30
    for place in range(4):
        assert {order[place] for order in orders.values()} == set(SYSTEMS)
    again = make_sheet("i3", "ann", True, {name: SYSTEMS[name] for name in NAMES[::-1]})
    assert tuple(again.systems.values()) == orders[3, "ann"]
    assert again == make_sheet("i3", "ann", True, SYSTEMS)
    assert list(make_sheet("i3", "ann", False, SYSTEMS).systems.values()) == NAMES


def test_a_form_names_letters_and_the_sheet_knows_the_systems() -> None:
    sheet = make_sheet("i1", "ann", True, SYSTEMS)
    said = read_ratings({"rating:B": "4", "note:B": "  long\r\nnote ", "rating:D": "", "note:D": ""}, sheet)
    order = list(sheet.systems.values())
    assert [(one.system, one.rating, one.note, one.blind) for one in said] == [
        (order[1], 4, "long\nnote", True),
        (order[3], None, "", True),
    ]
    assert len(make_sheet("i1", "ann", True, {str(n): None for n in range(60)}).systems) == 60


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rating:E": "4", "note:E": ""}, "one of A, B, C, D; found the field 'rating:E'"),
        ({"rating:fine-tuned": "4"}, "found the field 'rating:fine-tuned'"),
        ({"colour:A": "4"}, "found the field 'colour:A'"),
        ({"rating:A": "4"}, "expected rating:A and note:A, found one of them"),
        ({"rating:A": "6", "note:A": ""}, "rating:A: expected 1 to 5 or nothing, found '6'"),
        ({"rating:A": "٣", "note:A": ""}, "expected 1 to 5 or nothing"),
        ({"rating:A": "4", "note:A": "x" * 2001}, "note:A: expected at most 2,000 characters, found 2,001"),
    ],
)
def test_what_a_form_may_not_say(fields: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_ratings(fields, make_sheet("i1", "ann", True, SYSTEMS))


@pytest.mark.parametrize("body", [b"a", b"a=%ff", b"a=\xff", b"a=1&a=2", b"&".join(b"%d=1" % n for n in range(2001))])
def test_damaged_forms_are_refused(body: bytes) -> None:
    with pytest.raises(UserError, match="expected"):
        read_fields(body)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_fields_come_back_as_browsers_send_them(fields: dict[str, str]) -> None:
    assert read_fields(urlencode(fields).encode() or b"=") == (fields or {"": ""})


def test_names_of_raters_are_plain() -> None:
    assert read_rater("  Anna\u00a0  Müller ") == read_rater("Anna Mu\u0308ller") == "Anna Müller"
    for name in ("", " \t ", "x" * 61, "a\0b", "a\u202eb"):
        with pytest.raises(UserError, match="rater: expected a name of 1 to 60 printable characters"):
            read_rater(name)
