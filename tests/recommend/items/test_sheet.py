"""The page of similar items: photos side by side, shares that can be counted by hand, nothing unescaped."""

from pathlib import Path

import numpy as np
import pytest
from feature_stores import write_store
from recommending import done, items_table, refused_by
from tiny import photo as save_photo

from finetune.data.feature_files import About
from metrics.photos.folders import remember_folder
from recommend.items.sheet import distribution
from recommend.items.similar import SimilarItems
from recommend.items.tendency import tendencies

IDS = ["a", "b", "c", "d"]
CATEGORIES = ["Hat", "Hat", "<b>Shoe</b>", ""]
PAIRS = {"photo": [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], "text": [[1, 0], [0, 1], [0.9, 0.1], [0.1, 0.9]]}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """By photo a and b are near each other, and c and d; by text a and c, b and d."""
    for name, rows in PAIRS.items():
        write_store(tmp_path / name, IDS, rows, About(name, name, folder=str(tmp_path)), "float32")  # type: ignore[arg-type]
    items_table(
        tmp_path / "items.parquet",
        IDS,
        IDS,
        product_type_name=CATEGORIES,
        colour_group_name=list("rrbb"),
        image=["a.jpg", "../b.jpg", "broken.jpg", ""],
    )
    save_photo(tmp_path / "a.jpg")
    (tmp_path / "broken.jpg").write_text("no photo")
    remember_folder(tmp_path, outside=False)
    return tmp_path


def test_the_page(shop: Path) -> None:
    page = shop / "page.html"
    for _ in range(2):  # our own page is replaced
        done(
            "similar",
            shop / "photo",
            shop / "text",
            "--id",
            "a",
            "--items",
            shop / "items.parquet",
            "--html",
            page,
            "--k",
            3,
        )
    text = page.read_text(encoding="utf-8")
    assert text.index("By photo") < text.index("By text") < text.index("By both, joined")
    assert text.count("data:image/jpeg") == 1
    for problem in ("photo outside the catalogue folder", "not an image", "no photo given"):
        assert problem in text
    assert "&lt;b&gt;Shoe" in text and "<b>Shoe" not in text


def test_a_store_does_not_choose_the_folder_of_photos(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_CACHE", str(shop / "cache"))  # of somebody who never named that folder
    page, query = shop / "page.html", ("--id", "a", "--items", shop / "items.parquet", "--k", 3)
    done("similar", shop / "photo", *query, "--html", page)
    assert "data:image/jpeg" not in page.read_text(encoding="utf-8")
    done("similar", shop / "photo", *query, "--html", page, "--images", shop)
    assert "data:image/jpeg" in page.read_text(encoding="utf-8")


def test_shares_that_agree(shop: Path) -> None:
    items = SimilarItems([shop / "photo", shop / "text"], shop / "items.parquet")
    assert items.catalogue is not None
    searched, (photo, text) = tendencies(items.views, ["photo", "text"], items.catalogue, 1, siblings=True)
    assert searched == 4
    # The nearest by photo: a-b agree, b-a agree, c-d do not; d has no category. By text: a-c, b-d, c-a do not.
    assert (photo.category.value, text.category.value) == (pytest.approx(2 / 3), 0)
    assert (photo.colour.value, text.colour.value) == (1, 0)
    assert photo.category.interval is not None and photo.category.interval[0] < 2 / 3 < photo.category.interval[1]


def test_the_distribution_of_categories() -> None:
    names = [f"c{number:02d}" for number in range(32) for _ in range(number + 1)]
    bars = distribution([*names, ""])
    assert bars[0] == ("c31", 32, 1.0)
    assert bars[-1] == ("3 others", 1 + 1 + 2, 4 / 32)
    assert sum(count for _, count, _ in bars) == len(names) + 1
    assert np.all(np.diff([count for _, count, _ in bars[:-1]]) <= 0)


def test_no_category_is_the_same_as_none(shop: Path, tmp_path: Path) -> None:
    table = items_table(tmp_path / "some.parquet", IDS, IDS, kind=["Hat", "Hat", "", ""])
    arguments = (
        "similar",
        shop / "photo",
        "--items",
        table,
        "--category-column",
        "kind",
        "--category",
        "same",
        "--k",
        1,
    )
    assert "the item searched for has no category" in refused_by(*arguments, "--id", "c")
    assert "2 neighbours of 4 items; 2 items have fewer than 1" in done(
        *arguments, "--all", "--out", tmp_path / "all.parquet"
    )
