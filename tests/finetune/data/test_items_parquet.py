"""items.parquet: every row of the table in its order, with its role and all columns of the source."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from tiny import article, captioned, finetune, kaggle, photo, prepared, recipe, references, write_csv

from finetune.config.recipe import load_recipe
from finetune.data.arrow_cache import fingerprint
from finetune.data.catalogues import loader_of

COUNT = 30


def items_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "out" / "items.parquet").astype(object)


def test_every_row_of_articles_has_its_role(tmp_path: Path) -> None:
    rows = [article(number) for number in range(COUNT)]
    rows[3]["detail_desc"] = rows[4]["detail_desc"] = ""
    rows[7]["product_type_name"] = "Side table"
    rows = rows[::-1]
    ids = [row["article_id"] for row in rows]
    without_photo = [article(number)["article_id"] for number in (4, 5)]
    shop = kaggle(tmp_path / "hm", rows, without_photo)
    prepared(recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)}))
    items = items_of(tmp_path)
    assert items["id"].tolist() == ids
    table = pd.read_csv(shop / "articles.csv", dtype=str, keep_default_na=False)
    assert items.filter(like="source.").to_dict("list") == table.add_prefix("source.").to_dict("list")
    assert items["description"].tolist() == table["detail_desc"].tolist()
    roles = dict(zip(items["id"], items["role"], strict=True))
    wanted = {row["id"]: split for split in ("train", "validation", "test") for row in references(tmp_path, split)}
    wanted |= {f"01{number:08d}": "dropped: no photo" for number in (4, 5)}
    wanted |= {"0100000003": "undescribed", "0100000007": "dropped: not a fashion type"}
    wanted |= {"0100000004": "dropped: no description"}
    assert roles == wanted
    assert set(items["id"][items["image"].isna()]) == set(without_photo)
    assert items["image"].dropna().map(lambda image: (shop / image).is_file()).all()


def test_the_section_is_the_real_one(tmp_path: Path) -> None:
    rows = [article(number, section_name="Womens Lingerie", index_group_name="Divided") for number in range(COUNT)]
    shop = kaggle(tmp_path / "hm", rows)
    prepared(recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)}))
    attributes = references(tmp_path, "test")[0]["attributes"]
    assert (attributes["section"], attributes["index_group"]) == ("Womens Lingerie", "Divided")


def test_runs_begun_when_the_index_group_was_called_section_resume(tmp_path: Path) -> None:
    shop = kaggle(tmp_path / "hm", [article(number) for number in range(COUNT)])
    section = load_recipe(recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)})).data
    catalogue = loader_of(section).load()
    earlier = replace(catalogue, described=catalogue.described.copy(), fingerprinted=None)
    earlier.described["attributes"] = [
        {
            "name": each["name"],
            "group": each["group"],
            "pattern": each["pattern"],
            "colour_value": each["colour_value"],
            "department": each["department"],
            "section": each["index_group"],
            "garment": each["garment"],
        }
        for each in catalogue.described["attributes"]
    ]
    fingerprints = [fingerprint(one, {"train": one.described}, section) for one in (catalogue, earlier)]
    assert fingerprints[0] == fingerprints[1]


def test_a_changed_column_of_the_source_is_read_again(tmp_path: Path) -> None:
    rows = [article(number) for number in range(COUNT)]
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows))})
    prepared(path)
    for row in rows:
        row["section_name"] = "Renamed"
    write_csv(tmp_path / "hm" / "articles.csv", rows)
    prepared(path)
    assert set(items_of(tmp_path)["source.section_name"]) == {"Renamed"}
    assert references(tmp_path, "test")[0]["attributes"]["section"] == "Renamed"


def test_a_shop_s_own_columns_and_those_that_limit_leaves_out(tmp_path: Path) -> None:
    rows = captioned(tmp_path / "shop", 20)
    rows[5]["text"] = " "
    for number, row in enumerate(rows):
        row |= {"role": "ours", "id": f"sku {number}"}
    write_csv(tmp_path / "shop" / "metadata.csv", rows)
    data = {"catalogue": "folder", "folder": str(tmp_path / "shop"), "limit": 1, "columns": {"caption": "text"}}
    prepared(recipe(tmp_path, data))
    items = items_of(tmp_path)
    assert items["source.role"].tolist() == ["ours"] * 20
    assert items["source.id"].tolist() == [f"sku {number}" for number in range(20)]
    assert items["id"].tolist() == items["image"].tolist() == [f"{number:03d}.png" for number in range(20)]
    counts = items["role"].value_counts().to_dict()
    assert counts == {"train": 1, "validation": 1, "test": 1, "undescribed": 1, "dropped: limit": 16}
    assert items["role"][5] == "undescribed"


def test_photos_alone_have_no_columns_of_a_source(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "shop" / f"{number}.png")
    prepared(recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "shop")}))
    items = items_of(tmp_path)
    assert list(items) == ["id", "product_id", "image", "description", "role"]
    assert items["role"].tolist() == ["undescribed"] * 3


def test_a_broken_photo_is_named_by_its_role(tmp_path: Path) -> None:
    rows = captioned(tmp_path / "shop", 12)
    write_csv(tmp_path / "shop" / "metadata.csv", rows)
    (tmp_path / "shop" / "004.png").write_bytes(b"no photo")
    data = {"catalogue": "folder", "folder": str(tmp_path / "shop"), "columns": {"caption": "text"}}
    assert finetune("prepare", recipe(tmp_path, data | {"on_bad_image": "skip"})).exit_code == 0
    assert items_of(tmp_path)["role"][4] == "dropped: bad image"
