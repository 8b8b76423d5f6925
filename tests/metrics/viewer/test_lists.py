"""Lists of items: filters, order, search, pages, and the URLs that hold them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from viewer_pages import Pages

pytest.importorskip("starlette", reason="the extra `view` is not installed")

ALL = list(range(12))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("category=top", [1, 4, 7, 10]),
        ("slice=unseen", [1, 3, 5, 7, 9, 11]),
        ("category=top&slice=seen", [4, 10]),
        ("first=3", [0, 1, 2]),
        ("products=3", [0, 2, 4]),
        ("products=3&slice=unseen", []),
        ("system=plain&min=50&max=60", [5, 6]),
        # 100 * 0.29 is less than 29; items that METEOR leaves out are in no range.
        ("system=plain&measure=METEOR&min=29&max=29", [1, 2, 4, 5, 7, 8, 10, 11]),
        ("system=plain&measure=METEOR&max=100", [1, 2, 4, 5, 7, 8, 10, 11]),
        ("diff_min=70", [0, 1, 2]),
        ("diff_min=-40&diff_max=0", [7, 8, 9]),
        ("system=plain&versus=tuned&diff_min=50", [10, 11]),
        ("sort=CIDEr", ALL),
        ("sort=CIDEr&order=asc", ALL[::-1]),
        ("sort=CIDEr&system=plain", ALL[::-1]),
        ("sort=difference&order=asc", ALL[::-1]),
        # |100 - 15 n| for n = 0..11: 100, 85, 70, 55, 40, 25, 10, 5, 20, 35, 50, 65
        ("sort=disagreement", [0, 1, 2, 11, 3, 10, 4, 9, 5, 8, 6, 7]),
        # Items that the measure leaves out come last, whatever the order.
        ("sort=METEOR&system=plain", [1, 2, 4, 5, 7, 8, 10, 11, 0, 3, 6, 9]),
        ("sort=METEOR&system=plain&order=asc", [1, 2, 4, 5, 7, 8, 10, 11, 0, 3, 6, 9]),
        ("q=red+dresses", [0]),  # other endings
        ("q=DARK+blue", [2, 6, 10]),  # catalogue attributes
        ("q=skirt&category=skirt&slice=seen&sort=CIDEr&order=asc", [8, 2]),
        ("q=007", [7]),
        ("q=nothing+of+the+sort", []),
        ("q=&category=&min=&sort=", ALL),  # what an empty form sends
    ],
)
def test_what_a_list_has_and_in_which_order(pages: Pages, query: str, expected: list[int]) -> None:
    assert pages.ids(query) == expected
    count = f"{len(expected)} item" + ("s" if len(expected) != 1 else "")
    assert count in pages.text(f"/items?{query}")
    assert count in pages.text(f"/items?{query}&view=gallery")


@pytest.mark.parametrize(
    "query",
    ["q=red+dress", "category=top&sort=CIDEr", "system=plain&sort=METEOR&order=asc", "sort=disagreement", "first=3"],
)
def test_next_and_previous_follow_the_list(pages: Pages, query: str) -> None:
    expected = [f"0{number:02d}" for number in pages.ids(query)]
    path, walked = f"/item?id={expected[0]}&{query}", []
    while path:
        walked.append(path.split("id=")[1][:3])
        assert f"{len(walked)} of {len(expected)}" in pages.text(path)
        last, path = path, pages.following(path, "next") or ""
    assert walked == expected
    if len(expected) > 1:
        back = pages.following(last, "prev")
        assert back is not None
        assert f"id={expected[-2]}" in back


def test_the_order_is_said(pages: Pages) -> None:
    assert "in the test set’s order" in pages.text("/items?category=top")
    assert "by METEOR of plain, lowest first" in pages.text("/items?sort=METEOR&order=asc&system=plain")
    assert "by difference in CIDEr of tuned and plain, highest first" in pages.text("/items?sort=difference")


def test_an_item_outside_the_list_says_so(pages: Pages) -> None:
    assert "not among the 3 of this list" in pages.text("/item?id=005&first=3")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("category=shoe", "category: expected one of dress, skirt, top; found 'shoe'"),
        ("slice=some", "slice: expected one of seen, unseen; found 'some'"),
        ("measure=BLEU", "measure: expected one of CIDEr, METEOR; found 'BLEU'"),
        ("system=other", "system: expected one of plain, tuned; found 'other'"),
        ("sort=up", "sort: expected one of CIDEr, METEOR, difference, disagreement; found 'up'"),
        ("min=many", "min: expected a number, such as 40 or -2.5, found 'many'"),
        ("max=nan", "max: expected a number"),
        ("first=0", "first: expected a whole number from 1, found '0'"),
        ("products=9" + "9" * 20, "products: expected a whole number from 1"),
        ("page=2", "page: expected at most 1, found 2"),
        ("view=film", "view: expected one of table, gallery, plots; found 'film'"),
        ("q=" + "a" * 301, "q: expected at most 300 characters"),
        ("colour=red", "'colour' is unknown; expected category, diff_max"),
        ("q=a&q=b", "'q' is given twice"),
        ("<script>=1", "'<script>' is unknown"),
    ],
)
def test_wrong_parameters_are_refused_by_a_page(pages: Pages, query: str, message: str) -> None:
    assert message in pages.text(f"/items?{query}", status=400)
    assert "Traceback" not in pages.get(f"/items?{query}", status=400)


def test_two_systems_are_needed_to_differ(scored_alone: Pages) -> None:
    assert "expected two systems" in scored_alone.text("/items?sort=difference", status=400)
    assert "expected two systems" in scored_alone.text("/items?diff_min=1", status=400)
    assert scored_alone.ids("") == [0]


@pytest.mark.parametrize(
    "query",
    ['"', "dress OR top", "NEAR(dress top)", "id:001", "dress*", "^dress", "-dress", "('", "a\0b", "{id}:x", "²"],
)
def test_a_search_has_no_syntax(pages: Pages, query: str) -> None:
    pages.client.get("/items", params={"q": query}).raise_for_status()


def test_words_of_syntax_are_words(pages: Pages) -> None:
    assert pages.ids("q=dress+OR+top") == []
    assert pages.ids("q=dress+NOT") == []
    assert pages.ids('q="dress"') == [0, 3, 6, 9]
    assert "search for dress, OR, top" in pages.text("/items?q=dress+OR+top")
    assert "search for nothing, since there is no word in it" in pages.text("/items?q=%2A%22")
    assert pages.ids("q=%2A%22") == []


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=60))
def test_any_search_gives_a_page(pages: Pages, query: str) -> None:
    response = pages.client.get("/items", params={"q": query.encode("utf-8", "replace").decode("utf-8")})
    assert response.status_code == 200


def test_pages_of_a_long_list(long_pages: Pages) -> None:
    path, found = "/items?sort=CIDEr", []
    while path:
        found += long_pages.ids(path.partition("?")[2])
        path = long_pages.following(path, "next") or ""
    assert found == list(range(119, -1, -1))
    assert "page 3 of 3" in long_pages.text("/items?page=3")
    assert "page 5 of 5" in long_pages.text("/items?view=gallery&page=5")
    assert 'page=2"' in long_pages.get("/item?id=0060")  # the list's page that the item is on


def test_distributions_are_of_the_list(pages: Pages) -> None:
    page = pages.get("/items?view=plots")
    assert page.count("<svg") == 2
    assert "Share of items by CIDEr" in page
    assert page.count("<polygon") == 4
    assert pages.get("/items?view=plots&first=1").count("<polygon") == 3  # METEOR of plain leaves the first item out
    assert "No item is like that" in pages.get("/items?view=plots&q=nothing")
