"""The catalogue `folder` on a data set of `datasets`: photos inside, photos alone, and what does not fit."""

import csv
import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from tiny import all_references, photo, prepared, recipe, refused, write_csv

from finetune.config.recipe import load_recipe
from finetune.data.preparation import Prepared, prepare
from finetune.runs.training_record import catalogue_of

COLUMNS = {"caption": "text", "category": "kind"}


def load(path: Path) -> Prepared:
    return prepare(load_recipe(path).data)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder with a Parquet file as the Hub has them: photos inside, categories as class labels."""
    files = [photo(tmp_path / "source" / f"{number}.png", (number * 10, 0, 0)) for number in range(12)]
    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "text": datasets.Value("string"),
            "kind": datasets.ClassLabel(names=["top", "bag"]),
            "sku": datasets.Value("int64"),
            "tags": datasets.List(datasets.Value("string")),
            "uses": datasets.List(datasets.ClassLabel(names=["day", "night"])),
            "maker": {"name": datasets.Value("string")},
        }
    )
    values = {
        "photo": [{"bytes": file.read_bytes(), "path": None} for file in files],
        "text": [None if number == 5 else f"A top, number {number}." for number in range(12)],
        "kind": [None if number == 7 else number % 2 for number in range(12)],
        "sku": [1000 + number for number in range(12)],
        "tags": [["red", "dress"]] * 12,
        "uses": [[0, 1]] * 12,
        "maker": [{"name": "a"}] * 12,
    }
    (tmp_path / "hub" / "data").mkdir(parents=True)
    datasets.Dataset.from_dict(values, features).to_parquet(
        str(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet")
    )
    return tmp_path / "hub"


def dataset_recipe(hub: Path, **data: Any) -> Path:
    columns = {"image": "photo", "caption": "text", "category": "kind", "id": "sku"}
    return recipe(hub.parent, {"catalogue": "folder", "dataset": str(hub), "columns": columns} | data)


def test_a_data_set_with_photos_inside(dataset: Path) -> None:
    path = dataset_recipe(dataset)
    prepared(path)
    loaded = load(path)
    assert catalogue_of(loaded)["catalogue"].called == "hub"
    assert [record.id for record in loaded.records("undescribed")] == ["1005"]
    records = all_references(dataset.parent)
    assert records.keys() == {str(1000 + number) for number in range(12)} - {"1005"}
    assert records["1003"]["category"] == "bag"
    assert records["1004"]["category"] == "top"
    assert records["1007"]["category"] is None
    assert records["1003"]["references"] == ["A top, number 3."]
    assert records["1003"]["image"] is None
    for split in loaded.splits.values():
        for row in split:
            assert row["image"].getpixel((0, 0)) == ((int(row["id"]) - 1000) * 10, 0, 0)


def test_lists_of_a_data_set_are_lists(dataset: Path) -> None:
    columns = {"image": "photo", "caption": "text", "attributes": ["tags", "uses"]}
    prepared(dataset_recipe(dataset, columns=columns))
    records = all_references(dataset.parent).values()
    assert all(record["attributes"] == {"tags": "red, dress", "uses": "day, night"} for record in records)


def test_a_data_set_of_photos_alone(dataset: Path) -> None:
    loaded = load(dataset_recipe(dataset, columns={"image": "photo", "caption": ""}))
    assert [record.id for record in loaded.records("undescribed")] == [f"{number:08d}" for number in range(12)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"columns": {"image": "picture"}}, ["data.columns", "has no column picture"]),
        ({"columns": {"image": "text"}}, ["row 0: image 'A top, number 0.': no such file"]),
        ({"columns": {"image": "sku"}}, ["data.columns.image", "'sku'", "holds no images"]),
        (
            {"columns": {"image": "photo", "caption": "txt"}},
            ["has no column txt", "it has photo, text, kind, sku, tags"],
        ),
        ({"columns": {"image": "photo", "caption": "tags"}}, ["row 1: tags is a list, expected one text;"]),
        (
            {"columns": {"image": "photo", "attributes": ["maker"]}},
            ["row 1: maker is a dict, expected one text or a list of texts; name another column"],
        ),
        ({"dataset_split": "test"}, ["data.dataset", "'test'"]),
        ({"dataset": "gone/nowhere/at-all"}, ["data.dataset: gone/nowhere/at-all: cannot load"]),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused(dataset: Path, data: dict[str, Any], expected: list[str]) -> None:
    message = refused("prepare", dataset_recipe(dataset, **data))
    for fragment in expected:
        assert fragment in message


def test_a_broken_photo_inside_a_data_set_is_named_by_id(dataset: Path) -> None:
    (file,) = (dataset / "data").iterdir()
    table = pd.read_parquet(file)
    table.loc[4, "photo"]["bytes"] = b"no picture"
    table.to_parquet(file)
    path = dataset_recipe(dataset)
    assert "1004: not an image" in refused("prepare", path)
    assert "1004: not an image" in prepared(path, "data.on_bad_image=skip")
    assert "1004" not in all_references(dataset.parent)


def folder_of_photos(folder: Path, suffix: str) -> Path:
    """Twelve photos and their table, with ids, categories and sizes that readers of tables like to change."""
    rows = [
        {
            "file_name": photo(folder / f"{number}.png", (number * 10, 0, 0)).name,
            "sku": f"{number:03d}",
            "text": f"A top, number {number}.",
            "kind": ("NA", "null", "True", "1.50", "2020-01-01")[number % 5],
        }
        for number in range(12)
    ]
    if suffix == "csv":
        write_csv(folder / "metadata.csv", rows)
    else:
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("source", ["dataset", "folder"])
def test_texts_are_as_they_are_written_by_whichever_key(tmp_path: Path, suffix: str, source: str) -> None:
    folder = folder_of_photos(tmp_path / "shop", suffix)
    columns = {"caption": "text", "category": "kind", "id": "sku"}
    if source == "dataset":
        columns["image"] = "image"
    prepared(recipe(tmp_path, {"catalogue": "folder", source: str(folder), "columns": columns}))
    records = all_references(tmp_path)
    assert sorted(records) == [f"{number:03d}" for number in range(12)]
    assert [records[f"00{number}"]["category"] for number in range(5)] == ["NA", "null", "True", "1.50", "2020-01-01"]


def test_a_data_set_of_a_csv_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", "csv")
    rows = list(csv.DictReader((photos / "metadata.csv").open(encoding="utf-8", newline="")))
    (tmp_path / "shop").mkdir()
    write_csv(tmp_path / "shop" / "train.csv", [row | {"file_name": str(photos / row["file_name"])} for row in rows])
    columns = {"caption": "text", "category": "kind", "id": "sku", "image": "file_name"}
    data = {"catalogue": "folder", "dataset": str(tmp_path / "shop"), "columns": columns}
    assert "outside the data set" in refused("prepare", recipe(tmp_path, data))
    prepared(recipe(tmp_path, data | {"outside": "read"}))
    records = all_references(tmp_path)
    assert sorted(records) == [f"{number:03d}" for number in range(12)]
    assert {record["category"] for record in records.values()} == {"NA", "null", "True", "1.50", "2020-01-01"}


def test_texts_that_became_dates_are_refused(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", "csv")
    (tmp_path / "shop").mkdir()
    rows = [{"image": str(photos / f"{n}.png"), "text": f"A top {n}", "day": "2020-01-01"} for n in range(12)]
    (tmp_path / "shop" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"caption": "text", "category": "day", "image": "image"}
    path = recipe(tmp_path, {"catalogue": "folder", "dataset": str(tmp_path / "shop"), "columns": columns})
    assert "day of" in (message := refused("prepare", path))
    assert "was read as dates" in message


def test_a_folder_of_photos_alone_as_a_data_set(tmp_path: Path) -> None:
    for number in range(12):
        photo(tmp_path / "shop" / f"{number}.png", (number * 10, 0, 0))
    path = recipe(tmp_path, {"catalogue": "folder", "dataset": str(tmp_path / "shop"), "columns": {"image": "image"}})
    assert len(list(load(path).records("undescribed"))) == 12


@pytest.mark.parametrize(("caption", "kind"), [({"en": "a dress"}, "dict"), (["red", "dress"], "list")])
def test_captions_that_are_no_texts_are_refused_by_whichever_key(tmp_path: Path, caption: object, kind: str) -> None:
    rows = [{"file_name": photo(tmp_path / "shop" / f"{n}.png").name, "text": caption} for n in range(3)]
    (tmp_path / "shop" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for source, image in (("folder", "file_name"), ("dataset", "image")):
        columns = {"caption": "text", "image": image}
        path = recipe(tmp_path, {"catalogue": "folder", source: str(tmp_path / "shop"), "columns": columns})
        assert f"row 1: text is a {kind}, expected one text" in refused("prepare", path)
