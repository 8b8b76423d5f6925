"""The Kaggle fashion-product data set: what is kept, what is dropped by which rule, what is refused; and its demo."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny import Row, all_references, photo, prepared, recipe, refused, write_csv

KINDS = [("Apparel", "Topwear"), ("Accessories", "Bags"), ("Footwear", "Shoes"), ("Personal Care", "Lips")]


def style(number: int, **values: str) -> Row:
    master, kind = KINDS[number % 4]
    row = {
        "id": str(1000 + number),
        "gender": "Women",
        "masterCategory": master,
        "subCategory": kind,
        "articleType": f"{kind} type",
        "baseColour": "Red",
        "season": "Fall",
        "year": "2012",
        "usage": "Casual",
        "productDisplayName": f"Brand {number} Women Red {kind}",
    }
    return row | values


def shop(folder: Path, rows: list[Row]) -> Path:
    folder.mkdir()
    write_csv(folder / "styles.csv", rows)
    write_csv(folder / "images.csv", [{"filename": f"{row['id']}.jpg", "link": "undefined"} for row in rows])
    for number, row in enumerate(rows):
        photo(folder / "images" / f"{row['id']}.jpg", (number * 5 % 256, 100, 150))
    return folder


def described(folder: Path, key: str, text: str | None) -> None:
    (folder / "styles").mkdir(exist_ok=True)
    descriptors = {} if text is None else {"description": {"value": text}}
    value = json.dumps({"data": {"productDescriptors": descriptors}})
    (folder / "styles" / f"{key}.json").write_text(value, encoding="utf-8")


def section(folder: Path, **keys: Any) -> dict[str, Any]:
    return {"catalogue": "fashion-product", "folder": str(folder), **keys}


def test_rows_are_kept_or_dropped_by_the_paper_s_rules(tmp_path: Path) -> None:
    rare = [style(4 * number, subCategory=f"Rare {number:02d}") for number in range(20, 38)]
    rows = [style(number) for number in range(40)] + rare
    folder = shop(tmp_path / "shop", rows)
    (folder / "images" / "1001.jpg").unlink()
    printed = prepared(recipe(tmp_path, section(folder)))
    # Ten of each master category, 18 rare sub categories: 3 + 16 of them are the 19 most frequent.
    for line in ("58  articles", "57  with a photo", "47  of Apparel", "45  of the 19 most frequent"):
        assert line in printed
    items = pd.read_parquet(tmp_path / "out" / "items.parquet").set_index("id")
    assert items.loc["1001", "role"] == "dropped: no photo"
    assert items.loc["1003", "role"] == "dropped: another master category"
    assert items.loc[[row["id"] for row in rare[16:]], "role"].tolist() == ["dropped: a rare sub category"] * 2
    assert items.loc["1000", "source.link"] == "undefined"
    record = all_references(tmp_path)["1000"]
    assert record["references"] == ["Brand 0 Women Red Topwear"]
    assert record["category"] == "Topwear type"
    assert record["attributes"]["master_category"] == "Apparel"
    assert record["attributes"]["colour"] == "Red"


def test_commas_that_nobody_quoted_belong_to_the_name(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop", [style(4 * number) for number in range(12)])
    table = (folder / "styles.csv").read_text()
    (folder / "styles.csv").write_text(table.replace("Brand 4 Women Red", "Brand 4 Women, Red, plain"))
    assert "line 3: id 1004" in prepared(recipe(tmp_path, section(folder)))
    assert all_references(tmp_path)["1004"]["references"] == ["Brand 4 Women, Red, plain Topwear"]


def test_descriptions_come_without_their_markup(tmp_path: Path) -> None:
    rows = [style(4 * number) for number in range(12)]
    folder = shop(tmp_path / "shop", rows)
    for row in rows[:-2]:
        described(folder, row["id"], f"<p>Red &amp; <b>soft</b>,\n no. {row['id']}<br/></p>")
    described(folder, rows[-2]["id"], None)  # and the last has no file
    prepared(recipe(tmp_path, section(folder, caption="description")))
    assert all_references(tmp_path)["1000"]["references"] == ["Red & soft , no. 1000"]
    roles = pd.read_parquet(tmp_path / "out" / "items.parquet")["role"].tolist()
    assert roles[-2:] == ["undescribed"] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("1004,Women", "../1004,Women"), "line 3: id '../1004' is no number"),
        (lambda text: text[: text.rindex("Casual")], "line 13: expected 10 values on one line"),
        (lambda text: text.replace("Brand 4 ", '"Brand 4 '), "a quote never closed"),
        (lambda text: text.replace("baseColour", "colour"), "expected the columns id, gender"),
        (lambda text: text.replace("1004", "1008"), "1008"),
        (lambda _: "", "found an empty file"),
    ],
    ids=["path", "cut", "quote", "column", "twice", "empty"],
)
def test_a_damaged_table_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = shop(tmp_path / "shop", [style(4 * number) for number in range(12)])
    path = folder / "styles.csv"
    path.write_text(change(path.read_text()))
    assert message in refused("prepare", recipe(tmp_path, section(folder)))


def test_the_demo_writes_this_layout(tmp_path: Path) -> None:
    demo = {"catalogue": "demo", "layout": "fashion-product", "folder": str(tmp_path / "shop"), "articles": 60}
    printed = prepared(recipe(tmp_path, demo))
    demonstrated = all_references(tmp_path)
    mark = tmp_path / "shop" / "demo.json"
    mark.write_text(mark.read_text().replace('"version": 2', '"version": 1'))
    prepared(recipe(tmp_path, demo))  # a run that began on a shop of an earlier version goes on
    assert '"version": 1' in mark.read_text()
    prepared(recipe(tmp_path, section(tmp_path / "shop", caption="description")))
    real = all_references(tmp_path)
    assert {key: record["references"] for key, record in demonstrated.items()} == {
        key: record["references"] for key, record in real.items()
    }
    items = pd.read_parquet(tmp_path / "out" / "items.parquet")
    kept = {"Apparel", "Accessories", "Footwear"}
    dropped = items["role"] == "dropped: another master category"
    assert set(items["source.masterCategory"][~dropped]) == kept
    assert dropped.any() and not kept & set(items["source.masterCategory"][dropped])
    assert f"{60 - dropped.sum()}  of Apparel, Accessories, Footwear" in printed
    assert items["source.link"].str.startswith("https://example.com/").all()
