"""The catalogue `folder` on a data set of `datasets`: photos inside, photos alone, and what does not fit."""

from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from tiny import all_references, photo, prepared, recipe, refused

from finetune.config.recipe import load_recipe
from finetune.data.preparation import Prepared, prepare

COLUMNS = {"caption": "text", "category": "kind"}


def load(path: Path) -> Prepared:
    return prepare(load_recipe(path).data)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Parquet file as the Hub has them: photos inside, categories as class labels."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
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
    loaded = load(dataset_recipe(dataset, columns={"image": "photo"}))
    assert [record.id for record in loaded.records("undescribed")] == [f"{number:08d}" for number in range(12)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"columns": {"image": "picture"}}, ["data.columns", "has no column picture"]),
        ({"columns": {"image": "text"}}, ["row 0: image 'A top, number 0.'", "No such file"]),
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
