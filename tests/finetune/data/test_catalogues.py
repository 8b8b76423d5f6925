"""The catalogues `hm` and `demo`: what is kept, what is dropped by which rule, and what is refused."""

import csv
from pathlib import Path

import datasets
import pandas as pd
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import (
    Row,
    all_references,
    article,
    finetune,
    kaggle,
    kaggle_photo,
    photo,
    prepared,
    recipe,
    refused,
)

from finetune.config.recipe import load_recipe
from finetune.data.account import Step
from finetune.data.preparation import Prepared, prepare

DRESSES = [article(number) for number in range(20)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Twenty dresses in the Kaggle layout."""
    return kaggle(tmp_path / "hm", DRESSES)


@pytest.fixture
def shop_recipe(shop: Path, tmp_path: Path) -> Path:
    return recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)})


def load(path: Path) -> Prepared:
    return prepare(load_recipe(path).data)


def test_hm_drops_by_the_published_rules_in_their_order(tmp_path: Path) -> None:
    kinds = ["Dress"] * 10 + ["Skirt"] * 6 + ["String lights"] * 7 + ["Giftbox"] * 8 + ["HAT/Brim"] * 7 + ["Bag"] * 7
    rows = [article(number, product_type_name=kind) for number, kind in enumerate(kinds)]
    rows[0]["detail_desc"] = ""
    rows[1]["detail_desc"] = "  "
    without_photo = [rows[8]["article_id"], rows[-1]["article_id"]]
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows, without_photo))})
    account = load(path).account
    # Skirts are six, bags with a photo too; "String lights" has the keyword "ring" in it, "Giftbox" has none.
    assert [(step.step, step.articles) for step in account.counts] == [
        ("articles", 45),
        ("with a description", 43),
        ("with description and photo", 41),
        ("of a fashion type", 7 + 7 + 7),
    ]
    assert account.dropped["no description"] == [row["article_id"] for row in rows[:2]]
    assert account.dropped["no photo"] == without_photo
    dropped = {row["article_id"] for row in rows if row["product_type_name"] in ("Skirt", "Giftbox", "Bag")}
    assert set(account.dropped["not a fashion type"]) == dropped - set(without_photo)
    printed = prepared(path)
    for line in ("45  articles", "43  with a description", "21  of a fashion type", "2  no photo"):
        assert line in printed


def test_hm_records_say_what_the_row_says(shop_recipe: Path, tmp_path: Path) -> None:
    prepared(shop_recipe)
    record = all_references(tmp_path)["0100000007"]
    assert record["product_id"] == "0100003"
    assert record["image"] == "images/010/0100000007.jpg"
    assert record["references"] == ["short dress number 3 in soft jersey."]
    assert record["category"] == "Dress"
    assert record["attributes"]["name"] == "Dress 3"
    assert record["attributes"]["pattern"] == "Solid"
    assert record["attributes"]["colour"] == "Red"
    assert record["caption"] is None


def test_hm_has_the_columns_of_every_catalogue(shop_recipe: Path) -> None:
    train = load(shop_recipe).splits["train"]
    features = train.features
    assert {"id", "product_id", "image", "caption", "category", "colour", "attributes"} <= set(features)
    assert isinstance(features["image"], datasets.Image)
    assert features["category"] == datasets.ClassLabel(names=["Dress"])
    assert features["id"].dtype == "string"
    assert train[0]["colour"] in ("Black", "Red")
    number = int(train[0]["id"]) - 100_000_000
    assert train[0]["image"].size == (24, 36)
    assert train[0]["image"].getpixel((5, 5)) == pytest.approx((number, 100, 150), abs=8)


def test_articles_without_description_can_still_be_captioned(tmp_path: Path) -> None:
    rows = [article(number) for number in range(20)]
    rows[3]["detail_desc"] = rows[4]["detail_desc"] = ""
    shop = kaggle(tmp_path / "hm", rows, without_photo=[rows[4]["article_id"]])
    undescribed = load(recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)})).records("undescribed")
    assert [record.id for record in undescribed] == [rows[3]["article_id"]]
    assert undescribed[0].references == ()


def test_the_words_na_and_null_are_words(tmp_path: Path) -> None:
    rows = [article(number, prod_name="NA", detail_desc=("null", "None", "NaN")[number % 3]) for number in range(20)]
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows))})
    prepared(path)
    records = all_references(tmp_path).values()
    assert {record["references"][0] for record in records} == {"null", "none", "nan"}
    assert {record["attributes"]["name"] for record in records} == {"NA"}


def test_line_breaks_quotes_and_umlauts_survive(tmp_path: Path) -> None:
    text = 'Größe "M",\nzweite Zeile; 10½ — 綿'
    rows = [article(number, detail_desc=text, prod_name=text) for number in range(20)]
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows))})
    prepared(path)
    for record in all_references(tmp_path).values():
        assert record["references"] == [text.lower()]
        assert record["attributes"]["name"] == text


def test_articles_without_product_code_are_no_siblings(tmp_path: Path) -> None:
    rows = [article(number, product_code="", detail_desc=f"Dress {number}") for number in range(20)]
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows))})
    assert " 0.0%  items with a sibling" in prepared(path, "data.split.method=product")
    assert all(record["product_id"] == id_ for id_, record in all_references(tmp_path).items())


def test_photos_with_capital_suffix_are_found_and_strangers_are_not_articles(shop: Path, shop_recipe: Path) -> None:
    first = kaggle_photo(shop, DRESSES[0]["article_id"])
    first.rename(first.with_suffix(".JPG"))
    photo(shop / "images" / "010" / "cover.jpg")
    photo(shop / "images" / "099" / "0999999999.jpg")
    (shop / "images" / "010" / "._0100000001.jpg").write_bytes(b"resource fork")
    loaded = load(shop_recipe)
    assert loaded.account.counts[-1] == Step("of a fashion type", 20)
    records = {record.id: record for split in loaded.splits for record in loaded.records(split)}
    assert records.keys() == {row["article_id"] for row in DRESSES}
    assert records[DRESSES[0]["article_id"]].image == "images/010/0100000000.JPG"


def test_extra_columns_any_order_and_a_byte_order_mark_are_no_matter(shop: Path, shop_recipe: Path) -> None:
    rows = [dict(reversed(row.items())) | {f"extra_{n}": str(n) for n in range(300)} for row in DRESSES]
    tiny.write_csv(shop / "articles.csv", rows)
    content = (shop / "articles.csv").read_bytes()
    (shop / "articles.csv").write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert load(shop_recipe).account.counts[-1].articles == 20


def test_symlinked_photos_and_folders_are_followed(shop: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "articles.csv").symlink_to(shop / "articles.csv")
    (linked / "images").symlink_to(shop / "images")
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(linked)})
    assert "a link leads out of" in refused("prepare", path)
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(linked), "outside": "read"})
    assert load(path).account.counts[-1].articles == 20


def without(column: str) -> list[Row]:
    return [{key: value for key, value in row.items() if key != column} for row in DRESSES]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (without("detail_desc"), ["articles.csv", "column(s) detail_desc missing", "found: article_id"]),
        (without("article_id"), ["articles.csv", "column(s) article_id missing"]),
        (
            [row | {"article_id": row["article_id"].removeprefix("0")} for row in DRESSES],
            ["articles.csv: row 2", "'100000000' is not ten digits", "Kaggle"],
        ),
        (
            [*DRESSES[:5], DRESSES[5] | {"article_id": "1.0000e+08"}],
            ["articles.csv: row 7", "'1.0000e+08' is not ten digits"],
        ),
        ([*DRESSES, DRESSES[3]], ["articles.csv", "1 id(s) are in several rows: 0100000003", "unique"]),
        (
            [row | {"detail_desc": "word " * 10_000} if number == 4 else row for number, row in enumerate(DRESSES)],
            ["0100000004", "10,000 words", "data.max_caption_words = 300", "raise the limit"],
        ),
    ],
    ids=["no description column", "no id column", "number", "exponent", "duplicate", "long caption"],
)
def test_wrong_articles_are_refused(shop: Path, shop_recipe: Path, rows: list[Row], expected: list[str]) -> None:
    tiny.write_csv(shop / "articles.csv", rows)
    for command in (["prepare"], ["validate"], ["baselines"]):
        extra = [shop.parent / "base"] if command == ["baselines"] else []
        message = refused(*command, shop_recipe, *extra)
        for fragment in expected:
            assert fragment in message
    assert not (shop.parent / "base").exists()


def test_a_long_caption_is_taken_where_the_recipe_allows_it(tmp_path: Path) -> None:
    rows = [article(number, detail_desc=f"{number // 2} " + "soft " * 10_000) for number in range(20)]
    data = {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows)), "max_caption_words": 20_000}
    prepared(recipe(tmp_path, data | {"split": {"method": "product"}}))
    assert {len(record["references"][0].split()) for record in all_references(tmp_path).values()} == {10_001}


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_csv_cut_off_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rows = [article(n, detail_desc=f'A "soft" dress,\nnumber {n}') for n in range(6)]
    shop = kaggle(tmp_path_factory.mktemp("cut") / "hm", rows, without_photo=[row["article_id"] for row in rows[1:]])
    content = (shop / "articles.csv").read_bytes()
    ends = {len(tiny_csv(rows[:count])) for count in range(1, 7)}  # a cut between two rows is another, whole file
    length = data.draw(st.integers(1, len(content)).filter(lambda length: length not in ends))
    (shop / "articles.csv").write_bytes(content[:length])
    message = refused("prepare", recipe(shop.parent, {"catalogue": "hm", "folder": str(shop)}))
    assert str(shop / "articles.csv") in message


def tiny_csv(rows: list[Row]) -> bytes:
    """The bytes of a table, by pandas."""
    return pd.DataFrame(rows).to_csv(index=False).encode()


def test_a_cut_is_named_by_line(shop: Path, shop_recipe: Path) -> None:
    lines = (shop / "articles.csv").read_text().splitlines(keepends=True)
    (shop / "articles.csv").write_text("".join(lines[:5]) + lines[5][:30])
    message = refused("prepare", shop_recipe)
    assert f"{shop / 'articles.csv'}: line 6: 4 values where the header names 14" in message
    (shop / "articles.csv").write_text("".join(lines[:5]) + lines[5].replace(",Dress", ',"Dress', 1))
    assert f"{shop / 'articles.csv'}: line 6: unexpected end of data" in refused("prepare", shop_recipe)
    (shop / "articles.csv").write_text("".join(lines)[:-5])
    assert f"{shop / 'articles.csv'}: the last line does not end in a line break" in refused("prepare", shop_recipe)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "articles.csv: the file is empty; expected a table with the column(s) article_id, "),
        (b"article_id;product_code\n1;2\n", "garment_group_name missing; found: article_id, product_code"),
        (",".join(DRESSES[0]).encode() + b"\n", "the table has no rows"),
        (b"PK\x03\x04\xff\xfe", "not UTF-8 text"),
        (b"article_id,article_id\n1,2\n", "column(s) article_id appear twice"),
    ],
    ids=["empty", "semicolons", "header alone", "spreadsheet", "column twice"],
)
def test_a_file_that_is_no_articles_csv_is_refused(
    shop: Path, shop_recipe: Path, content: bytes, expected: str
) -> None:
    (shop / "articles.csv").write_bytes(content)
    assert expected in refused("prepare", shop_recipe)


def test_missing_files_and_folders_are_refused(shop: Path, shop_recipe: Path, tmp_path: Path) -> None:
    (shop / "articles.csv").rename(shop / "articles.txt")
    assert refused("prepare", shop_recipe) == f"{shop / 'articles.csv'}: no such file"
    (shop / "articles.txt").rename(shop / "articles.csv")
    (shop / "images").rename(shop / "photos")
    message = refused("prepare", shop_recipe)
    assert f"{shop / 'images'}: no photo of any article" in message
    assert "images/0xx/0<article_id>.jpg" in message
    gone = recipe(tmp_path, {"catalogue": "hm", "folder": str(tmp_path / "gone")})
    assert refused("prepare", gone) == f"data.folder: {tmp_path / 'gone'}: no such folder"


@pytest.mark.parametrize("value", ["$SHOP_FOLDER", "${SHOP_FOLDER}", "$SHOP_FOLDER/hm"])
def test_an_environment_variable_names_the_folder(
    value: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe(tmp_path, {"catalogue": "hm", "folder": value})
    monkeypatch.delenv("SHOP_FOLDER", raising=False)
    expected = f"data.folder: {value}: set the environment variable, for example SHOP_FOLDER=/path/to/it"
    assert refused("prepare", path) == expected
    monkeypatch.setenv("SHOP_FOLDER", "")
    assert refused("prepare", path) == expected
    monkeypatch.setenv("SHOP_FOLDER", str(shop.parent if value.endswith("/hm") else shop))
    assert "20  of a fashion type" in prepared(path)


def test_a_shop_without_fashion_is_refused(tmp_path: Path) -> None:
    shop = kaggle(tmp_path / "hm", [article(number, product_type_name="Giftbox") for number in range(8)])
    message = refused("prepare", recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)}))
    assert message.startswith(f"{shop}: no article is left to use")
    assert "0 of a fashion type" in message


def test_demo_is_drawn_once_and_prepared_as_hm_is(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"catalogue": "demo", "folder": str(tmp_path / "shop"), "articles": 120, "seed": 3})
    assert "120  articles" in prepared(path)
    drawn = {file: file.stat().st_mtime_ns for file in (tmp_path / "shop").rglob("*")}
    prepared(path)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "shop").rglob("*")} == drawn
    with (tmp_path / "shop" / "articles.csv").open(encoding="utf-8", newline="") as file:
        captions = {row["article_id"]: row["detail_desc"].lower() for row in csv.DictReader(file)}
    records = all_references(tmp_path)
    assert len(records) > 60
    assert all(record["references"] == [captions[id_]] for id_, record in records.items())
    other = finetune("prepare", path, "data.articles=121")
    assert other.exit_code == 2
    assert other.stderr == (
        f"error: {tmp_path / 'shop'}: contains a demo catalogue of articles 120, and not of articles 121; "
        "name another data.folder, or remove this one\n"
    )
