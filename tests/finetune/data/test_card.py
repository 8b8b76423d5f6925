"""The catalogue card: its figures, what two cards say of each other, and that nothing in a catalogue breaks the page."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browsing import DESK, PHONE, shown_photos
from tiny import article, captioned, finetune, kaggle, photo, prepared, recipe, refused, write_csv

from finetune.config.recipe import load_recipe
from finetune.data.card.page import write_card
from finetune.data.preparation import prepare

COLUMNS = {"caption": "text", "category": "kind", "attributes": ["tags"]}
# Caption, category, tags; a photo of 24 x 36 each, the last two larger.
ITEMS = [
    *[("Red dress.", "Dress", "red, cotton")] * 4,
    *[("A long, RED dress", "Dress", "red, silk")] * 2,
    ("Bag", "Bag", "silk"),
    ("A bag & a strap and a long chain", "Bag", ""),
    ("A hat.", "Hat", ""),
    ("", "Hat", "felt"),
]


def shop(folder: Path, items: list[tuple[str, str, str]] = ITEMS) -> Path:
    """The recipe of a folder catalogue."""
    rows = []
    for number, (text, kind, tags) in enumerate(items):
        size = (24, 36) if number < len(items) - 2 else (200 + number, 100)
        photo(folder / "photos" / f"{number:03d}.png", (number * 9, 60, 90), size)
        rows.append({"file_name": f"{number:03d}.png", "text": text, "kind": kind, "tags": tags})
    write_csv(folder / "photos" / "metadata.csv", rows)
    return recipe(folder, {"catalogue": "folder", "folder": str(folder / "photos"), "columns": COLUMNS})


def card(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "out" / "catalogue.json").read_text(encoding="utf-8")))


def compared(*arguments: Any) -> str:
    result = finetune("compare-catalogues", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_prepare_writes_the_card_and_names_it(tmp_path: Path) -> None:
    printed = prepared(shop(tmp_path)).splitlines()
    assert printed[-3:] == [str(tmp_path / "out" / f"catalogue.{suffix}") for suffix in ("json", "md", "html")]


def test_the_figures(tmp_path: Path) -> None:
    prepared(shop(tmp_path))
    facts = card(tmp_path)
    assert facts["photos"] == 10
    assert facts["items"]["undescribed"] == 1
    assert sum(facts["items"].values()) == 10
    # Five distinct captions of nine items; four and two share theirs.
    assert facts["captions"] == {
        "items": 9,
        "distinct": 5,
        "photos_per_caption": 9 / 5,
        "repeated_share": 6 / 9,
        "most_repeated": [{"caption": "Red dress.", "items": 4}, {"caption": "A long, RED dress", "items": 2}],
    }
    # Words: 2, 2, 2, 2, 4, 4, 1, 9, 2.
    assert facts["caption_words"] == {
        "mean": pytest.approx(28 / 9),
        "median": 2,
        "percentile_5": 1,
        "percentile_95": 9,
        "shortest": 1,
        "longest": 9,
        "items": {"1": 1, "2": 5, "4": 2, "9": 1},
    }
    # As written: "Red" "dress." "A" "long," "RED" "dress" "Bag" "bag" "&" "a" "strap" "and" "long" "chain" "hat."
    # Bare: red, dress, a, long, bag, strap, and, chain, hat.
    assert facts["vocabulary"] == {"words": 15, "bare_words": 9}
    assert facts["categories"] == {
        "count": 3,
        "with_one_item": 1,
        "items_without": 0,
        "items": {"Dress": 6, "Bag": 2, "Hat": 1},
    }
    # "red, cotton", "red, silk", "silk", "felt"; parts red, cotton, silk, felt.
    assert facts["attributes"] == {"tags": {"items": 8, "values": 4, "parts": 4}}
    assert facts["dropped"] == {"no caption": 1}


def test_image_sizes(tmp_path: Path) -> None:
    prepared(shop(tmp_path))
    sizes = card(tmp_path)["image_sizes"]
    assert sizes.pop("share_of_most_frequent") == 8 / 10
    assert sizes == {
        "distinct": 3,
        "most_frequent": "24 x 36",
        "median_width": 24,
        "median_height": 36,
        "smallest": "24 x 36",
        "largest": "209 x 100",
        "photos": {"24 x 36": 8, "208 x 100": 1, "209 x 100": 1},
    }


def test_the_leak_audit_and_colours_of_an_hm_catalogue(tmp_path: Path) -> None:
    shop_folder = kaggle(tmp_path / "hm", [article(number) for number in range(30)])
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(shop_folder)})
    printed = prepared(path)
    facts = card(tmp_path)
    assert f"{facts['leak_audit']['captions_in_train']:9.1%}  captions that are verbatim" in printed
    assert facts["leak_audit"]["test_items"] == 3
    assert facts["attributes"]["colour"] == {"items": 30, "values": 2, "parts": None}
    assert facts["attributes"]["name"] == {"items": 30, "values": 15, "parts": None}
    assert facts["captions"]["photos_per_caption"] == 2
    assert facts["counts"][0] == {"step": "articles", "articles": 30}


def test_both_pages_print_the_figures(tmp_path: Path) -> None:
    prepared(shop(tmp_path))
    markdown = (tmp_path / "out" / "catalogue.md").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "catalogue.html").read_text(encoding="utf-8")
    assert "| Photos per distinct caption | 1.80 |" in markdown
    assert "| Dress | 6 | 66.7% |" in markdown
    assert "| 4 | Red dress. |" in markdown
    assert '<th scope="row" dir="auto">Photos per distinct caption</th><td dir="auto">1.80</td>' in page
    assert page.count("data:image/jpeg;base64,") == 9


def test_the_histogram_is_drawn_to_scale(tmp_path: Path) -> None:
    prepared(shop(tmp_path))
    page = (tmp_path / "out" / "catalogue.html").read_text(encoding="utf-8")
    (drawn,) = re.findall(r'<polygon class="bars series-1" points="(.*?)"', page)
    corners = [tuple(map(float, corner.split(","))) for corner in drawn.split()]
    assert corners[0][1] == corners[-1][1]
    ground = corners[0][1]
    tops = corners[1:-1:2]
    widths = {round(right - left, 1) for (left, _), (right, _) in pairwise(tops)}
    assert max(widths) - min(widths) <= 0.2
    # One caption of a word, five of two, two of four, one of nine.
    unit = ground - tops[0][1]
    assert [round((ground - y) / unit) for _, y in tops] == [1, 5, 0, 2, 0, 0, 0, 0, 1]


def test_samples_are_spread_over_categories_and_always_the_same(tmp_path: Path) -> None:
    frequent = [(f"Common top {number}", "Top", "") for number in range(60)]
    rare = [(f"Rare thing {number}", f"Kind {number}", "") for number in range(8)]
    path = shop(tmp_path, frequent + rare)
    prepared(path)
    samples = card(tmp_path)["samples"]
    assert len({sample["id"] for sample in samples}) == 12
    assert pd.Series([sample["category"] for sample in samples]).value_counts().to_dict() == {
        "Top": 4,
        **{f"Kind {number}": 1 for number in range(8)},
    }
    prepared(path)
    assert card(tmp_path)["samples"] == samples


def test_only_the_samples_photos_are_read(tmp_path: Path) -> None:
    path = shop(tmp_path, [(f"A top {number}", "Top", "") for number in range(30)])
    prepared(path)
    ready, first = prepare(load_recipe(path).data), card(tmp_path)
    kept = {sample["id"] for sample in first["samples"]}
    for file in (tmp_path / "photos").glob("*.png"):
        if file.name not in kept:
            file.unlink()
    write_card(ready, tmp_path / "out")
    assert card(tmp_path) == first


def test_nothing_in_a_catalogue_breaks_out_of_the_pages(tmp_path: Path) -> None:
    evil, kind = "<script>alert('1')</script> | a *b*\n# c", "</td><b>|Kind"
    path = shop(tmp_path, [(f"{evil} {number % 3}", kind, "<i>, |") for number in range(12)])
    prepared(path, "data.split.method=published")
    page = (tmp_path / "out" / "catalogue.html").read_text(encoding="utf-8")
    for raw in ("<script", "</td><b>", "<i>,"):
        assert raw not in page
    assert "&lt;script&gt;" in page
    markdown = (tmp_path / "out" / "catalogue.md").read_text(encoding="utf-8")
    assert "| \\</td\\>\\<b\\>\\|Kind | 12 | 100.0% |" in markdown
    assert "| 4 | \\<script\\>alert('1')\\</script\\> \\| a \\*b\\* \\# c 0 |" in markdown
    assert not [line for line in markdown.splitlines() if line.startswith("# c")]


def test_photos_alone_have_a_card_too(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "photos" / f"{number}.png")
    prepared(recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos")}))
    facts = card(tmp_path)
    assert facts["items"] == {"train": 0, "validation": 0, "test": 0, "undescribed": 3}
    assert facts["caption_words"] is None
    assert facts["captions"]["photos_per_caption"] is None
    assert facts["leak_audit"] is None
    assert [sample["caption"] for sample in facts["samples"]] == [None] * 3
    page = (tmp_path / "out" / "catalogue.html").read_text(encoding="utf-8")
    assert page.count("<i>no caption</i>") == 3
    assert "<svg" not in page


def test_one_item_a_split_without_categories(tmp_path: Path) -> None:
    prepared(shop(tmp_path, [(f"A top {number}", "", "") for number in range(3)]))
    facts = card(tmp_path)
    assert facts["items"] == {"train": 1, "validation": 1, "test": 1, "undescribed": 0}
    assert facts["categories"] == {"count": 0, "with_one_item": 0, "items_without": 3, "items": {}}
    assert facts["attributes"] == {}


def test_two_catalogues_side_by_side(tmp_path: Path) -> None:
    articles = kaggle(tmp_path / "other" / "hm", [article(number) for number in range(30)])
    other = recipe(tmp_path / "other", {"catalogue": "hm", "folder": str(articles)})
    printed = compared(shop(tmp_path), other, "--out", tmp_path / "both")
    assert printed.splitlines() == [
        str(tmp_path / "both" / f"catalogues.{suffix}") for suffix in ("json", "md", "html")
    ]
    values = json.loads((tmp_path / "both" / "catalogues.json").read_text(encoding="utf-8"))
    assert list(values["catalogues"]) == ["folder", "hm"]
    # hm: short dress number N in soft jersey.
    words = values["shared"]["Words"]
    assert words["both"] == ["dress"]
    assert words["first"][:4] == ["a", "bag", "long", "red"]
    assert words["second"][:5] == ["in", "jersey", "number", "short", "soft"]
    assert len(words["second"]) == 5 + 15
    assert values["shared"]["Categories"] == {"both": ["dress"], "first": ["bag", "hat"], "second": []}
    markdown = (tmp_path / "both" / "catalogues.md").read_text(encoding="utf-8")
    assert "| Photos | 10 | 30 | 3.00 |" in markdown
    assert "| Only in folder | 2 | bag, hat |" in markdown
    assert "| Most frequent image size | 24 x 36 | 24 x 36 | – |" in markdown


def test_catalogues_of_one_name_stay_apart(tmp_path: Path) -> None:
    first, second = shop(tmp_path / "<b>one"), shop(tmp_path / "two", ITEMS[:8])
    compared(first, second, "--out", tmp_path / "both")
    values = json.loads((tmp_path / "both" / "catalogues.json").read_text(encoding="utf-8"))
    assert list(values["catalogues"]) == [f"folder ({first})", f"folder ({second})"]
    assert [facts["photos"] for facts in values["catalogues"].values()] == [10, 8]
    page = (tmp_path / "both" / "catalogues.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert f'<span class="key series-2">folder ({second})</span>' in page


def test_a_catalogue_may_be_compared_with_itself(tmp_path: Path) -> None:
    path = shop(tmp_path)
    compared(path, path, "--out", tmp_path / "both")
    values = json.loads((tmp_path / "both" / "catalogues.json").read_text(encoding="utf-8"))
    assert list(values["catalogues"]) == ["folder (1)", "folder (2)"]
    assert values["shared"]["Words"]["first"] == values["shared"]["Words"]["second"] == []


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path, out = shop(tmp_path), photo(tmp_path / "file.png")
    message = refused("compare-catalogues", path, path, "--out", out)
    assert message == f"cannot make the folder {out}: {out} is not a folder; give another --out"


def test_a_recipe_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    path, wrong = shop(tmp_path), tmp_path / "wrong.yaml"
    assert str(wrong) in refused("compare-catalogues", path, wrong, "--out", tmp_path / "out")
    wrong.write_text("output: out\ndata: {catalogue: hm, folder: nowhere}\nmodel: {base: a}\n", encoding="utf-8")
    assert "nowhere: no such folder" in finetune("compare-catalogues", wrong, path, "--out", tmp_path / "out").stderr


@pytest.mark.browser
def test_the_pages_load_and_fit(browser: Any, tmp_path: Path) -> None:
    photos = tmp_path / "long" / "photos"
    rows = [row | {"text": row["text"] + " " + "x" * 90 * (number % 2)} for number, row in enumerate(captioned(photos))]
    write_csv(photos / "metadata.csv", [row | {"kind": row["kind"] * 30, "tags": ""} for row in rows])
    data = {"catalogue": "folder", "folder": str(photos), "columns": COLUMNS}
    one, other = shop(tmp_path), recipe(tmp_path / "long", data)
    prepared(one)
    compared(one, other, "--out", tmp_path / "both")
    for width in (DESK, PHONE):
        assert shown_photos(browser, tmp_path / "out" / "catalogue.html", width) == 9
        assert browser.title == "Catalogue folder"
        assert shown_photos(browser, tmp_path / "both" / "catalogues.html", width) == 9 + 10
    assert browser.get_log("browser") == []
