"""The catalogue `folder`: photos with a table beside them, and photos alone."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from tiny import Row, all_references, captioned, finetune, photo, prepared, recipe, refused

from finetune.config.catalogues import Folder
from finetune.config.recipe import load_recipe
from finetune.data.catalogues.tables import read_table
from finetune.data.preparation import Prepared, prepare
from finetune.runs.training_record import catalogue_of
from metrics.common.errors import UserError

COLUMNS = {"caption": "text", "category": "kind"}


def folder_recipe(root: Path, **data: Any) -> Path:
    return recipe(root, {"catalogue": "folder", "folder": str(root / "photos")} | data)


def table_recipe(root: Path, rows: list[Row], **data: Any) -> Path:
    """A recipe for the photos in `root/photos` with `rows` as their metadata.csv."""
    tiny.write_csv(root / "photos" / "metadata.csv", rows)
    return folder_recipe(root, **({"columns": COLUMNS} | data))


def load(path: Path) -> Prepared:
    return prepare(load_recipe(path).data)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("named", [False, True], ids=["metadata", "named table"])
def test_a_table_beside_the_photos(tmp_path: Path, form: str, named: bool) -> None:
    photos = tmp_path / "photos"
    table = pd.DataFrame(captioned(photos)).assign(sku=[f"{n:04d}" for n in range(10)], size=range(38, 48))
    target = photos / (f"list.{form.upper()}" if named else f"metadata.{form}")
    if form == "csv":
        table.to_csv(target, index=False)
    elif form == "jsonl":
        target.write_text(table.to_json(orient="records", lines=True))
    else:
        table.to_parquet(target)
    columns = COLUMNS | {"id": "sku", "attributes": ["size"]}
    prepared(folder_recipe(tmp_path, columns=columns, **({"table": target.name} if named else {})))
    records = all_references(tmp_path)
    assert sorted(records) == [f"{number:04d}" for number in range(10)]
    assert records["0003"]["image"] == "003.png"
    assert records["0003"]["product_id"] == "0003"
    assert records["0003"]["references"] == ["A top, number 3."]
    assert records["0003"]["category"] == "bag"
    assert records["0003"]["attributes"] == {"size": "41"}


def test_a_table_may_lie_elsewhere_and_photos_in_subfolders(tmp_path: Path) -> None:
    rows = captioned(tmp_path / "photos" / "2024" / "spring")
    table = tiny.write_csv(
        tmp_path / "list.csv", [row | {"file_name": f"2024/spring/{row['file_name']}"} for row in rows]
    )
    path = folder_recipe(tmp_path, columns=COLUMNS, table=str(table))
    prepared(path)
    about = [load_recipe(path, override).data for override in ([], ["data.name=winter"])]
    assert [catalogue_of(prepare(one))["catalogue"].called for one in about] == ["photos", "winter"]
    assert all_references(tmp_path)["2024/spring/004.png"]["references"] == ["A top, number 4."]


def test_siblings_stay_together_and_a_missing_product_is_its_own(tmp_path: Path) -> None:
    rows = captioned(tmp_path / "photos", 30)
    for number, row in enumerate(rows):
        row["style"] = f"style {number // 3}" if number < 12 else ""
    prepared(table_recipe(tmp_path, rows, columns=COLUMNS | {"product_id": "style"}))
    records = all_references(tmp_path)
    splits = {
        name: {record["split"] for record in records.values() if record["product_id"] == name}
        for name in ("style 0", "style 1", "style 2", "style 3")
    }
    assert all(len(found) == 1 for found in splits.values())
    assert records["020.png"]["product_id"] == "020.png"
    assert {len(tiny.references(tmp_path, split)) for split in ("validation", "test")} == {3}


def test_empty_captions_count_as_undescribed(tmp_path: Path) -> None:
    rows = captioned(tmp_path / "photos")
    rows[2]["text"], rows[5]["text"] = "", " \t"
    path = table_recipe(tmp_path, rows)
    assert "2  no caption" in prepared(path)
    loaded = load(path)
    assert [record.id for record in loaded.records("undescribed")] == ["002.png", "005.png"]
    assert loaded.account.dropped == {"no caption": ["002.png", "005.png"]}
    assert len(all_references(tmp_path)) == 8


def test_images_alone_are_all_undescribed(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("b.png", "a.JPG", "deep/er/c.jpeg", "d.webp"):
        photo(photos / name)
    (photos / "notes.txt").write_text("no image")
    (photos / "._b.png").write_bytes(b"resource fork")
    photo(photos / ".thumbnails" / "b.png")
    (photos / "folder.jpg").mkdir()
    loaded = load(folder_recipe(tmp_path))
    assert [record.id for record in loaded.records("undescribed")] == ["a.JPG", "b.png", "d.webp", "deep/er/c.jpeg"]
    assert {split: len(data) for split, data in loaded.splits.items()} == {
        "train": 0,
        "validation": 0,
        "test": 0,
        "undescribed": 4,
    }
    assert loaded.splits["undescribed"][0]["image"].size == (24, 36)
    assert loaded.splits["train"].features == loaded.splits["undescribed"].features


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_captions_to_split_leave_photos_to_caption(tmp_path: Path, count: int) -> None:
    rows = captioned(tmp_path / "photos", 5)
    for row in rows[count:]:
        row["text"] = ""
    loaded = load(table_recipe(tmp_path, rows))
    assert sorted(record.id for record in loaded.records("undescribed")) == [row["file_name"] for row in rows]
    assert loaded.account.dropped["too few captions to split"] == [row["file_name"] for row in rows[:count]]
    result = finetune("validate", tmp_path / "recipe.yaml")
    assert result.exit_code == 2
    assert "no captioned articles" in result.stderr


def test_a_folder_as_the_caption_command_takes_it(tmp_path: Path) -> None:
    tiny.write_csv(tmp_path / "metadata.csv", captioned(tmp_path, 3))
    loaded = prepare(Folder(catalogue="folder", folder=str(tmp_path)), divided=False)
    assert [record.id for record in loaded.records("train")] == ["000.png", "001.png", "002.png"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"file_name": "gone.png"}, ["metadata.csv: row 5", "'gone.png'", "no such file"]),
        ({"file_name": "../outside.png"}, ["metadata.csv: row 5", "'../outside.png'"]),
        ({"file_name": ""}, ["metadata.csv: row 5", "image ''"]),
        ({"file_name": "a\0b"}, ["metadata.csv: row 5"]),
        ({"file_name": "002.png"}, ["metadata.csv", "002.png", "data.columns.id"]),
        ({"text": "word " * 10_000}, ["003.png", "10,000 words", "data.max_caption_words = 300"]),
    ],
    ids=["missing", "outside", "empty", "null byte", "twice", "long caption"],
)
def test_a_wrong_row_is_refused(tmp_path: Path, change: Row, expected: list[str]) -> None:
    photo(tmp_path / "outside.png")
    rows = captioned(tmp_path / "photos")
    rows[3] |= change
    message = refused("prepare", table_recipe(tmp_path, rows))
    for fragment in expected:
        assert fragment in message


def test_an_absolute_path_outside_the_folder_is_refused(tmp_path: Path) -> None:
    rows = captioned(tmp_path / "photos")
    rows[0]["file_name"] = str(photo(tmp_path / "outside.png"))
    assert "metadata.csv: row 2" in refused("prepare", table_recipe(tmp_path, rows))


def test_a_row_without_an_id_is_refused(tmp_path: Path) -> None:
    rows = [
        row | {"sku": str(number) if number != 6 else ""} for number, row in enumerate(captioned(tmp_path / "photos"))
    ]
    path = table_recipe(tmp_path, rows, columns=COLUMNS | {"id": "sku"})
    assert "metadata.csv: row 8 has no id" in refused("prepare", path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("list.ods", b"PK", "unknown table format '.ods'; expected one of .csv, .jsonl, .parquet, .tsv, .xlsx"),
        ("list.xlsx", b"PK", "not an Excel workbook (.xlsx) that can be read"),
        ("list.jsonl", b'{"file_name": "000.png"}\n{"file_na', "list.jsonl:2: not JSON"),
        ("list.jsonl", b'{"file_name": "000.png"}\n[1]\n', "list.jsonl:2: expected an object, found list"),
        (
            "list.jsonl",
            b'{"a": "\\ud83d\\ude00"}\n{"n": "x \\uD83d"}',
            "list.jsonl:2: 'n': expected Unicode text, found half",
        ),
        ("list.jsonl", b'{"n": {"x\\udE00": [1]}}', "list.jsonl:1: 'n': expected Unicode text, found half"),
        ("list.jsonl", b'{"x\\ude00": 1}', "list.jsonl:1: 'x\\ude00': expected Unicode text, found half"),
        ("list.jsonl", b"", "the file is empty; expected a table with the column(s) file_name, text, kind"),
        ("list.parquet", b"PAR1 cut off", "cannot read the table, is it complete?"),
        ("list.csv", "file_name\nä.png\n".encode("latin-1"), "not UTF-8 text"),
        ("gone.csv", None, "gone.csv: no such file"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes | None, expected: str
) -> None:
    captioned(tmp_path / "photos")
    if content is not None:
        (tmp_path / "photos" / name).write_bytes(content)
    message = refused("prepare", folder_recipe(tmp_path, table=name, columns=COLUMNS))
    assert message.startswith(str(tmp_path / "photos" / name))
    assert expected in message


def test_a_parquet_file_cut_off_is_refused(tmp_path: Path) -> None:
    pd.DataFrame(captioned(tmp_path / "photos")).to_parquet(tmp_path / "photos" / "metadata.parquet")
    content = (tmp_path / "photos" / "metadata.parquet").read_bytes()
    (tmp_path / "photos" / "metadata.parquet").write_bytes(content[: len(content) // 2])
    assert "is it complete?" in refused("prepare", folder_recipe(tmp_path, columns=COLUMNS))


def test_columns_without_a_table_are_refused(tmp_path: Path) -> None:
    captioned(tmp_path / "photos")
    message = refused("prepare", folder_recipe(tmp_path, columns=COLUMNS))
    assert "data.columns needs a table" in message
    assert "data.table" in message


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert f"{tmp_path / 'photos'}: no images there" in refused("prepare", folder_recipe(tmp_path))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers() | st.none() | st.text('xyz \n"'), min_size=3)))
def test_tables_give_texts_and_numbers_as_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, int | str | None]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "table.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if not rows:
        with pytest.raises(UserError, match="the file is empty"):
            read_table(path)
        return
    expected = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    assert read_table(path).to_dict("records") == expected


def test_jsonl_numbers_are_texts_as_written(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1.50, "b": 1e3}\n\n{"a": 9007199254740993}\n')
    assert read_table(tmp_path / "t.jsonl").to_dict("records") == [
        {"a": "1.50", "b": "1e3"},
        {"a": "9007199254740993", "b": ""},
    ]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_list_of_attributes_is_all_of_them(tmp_path: Path, form: str) -> None:
    """As FACAD's: "red, dress"."""
    tags = [["red", "dress"], ["hat"], [], None]
    rows = [row | {"tags": tags[place % 4]} for place, row in enumerate(captioned(tmp_path / "photos", 12))]
    table = tmp_path / "photos" / f"metadata.{form}"
    frame = pd.DataFrame(rows)
    frame.to_parquet(table) if form == "parquet" else frame.to_json(table, orient="records", lines=True)
    columns = {"image": "file_name", "caption": "text", "attributes": ["tags"]}
    prepared(recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos"), "columns": columns}))
    expected = ["red, dress", "hat", None, None]
    found = {record["id"]: record["attributes"].get("tags") for record in all_references(tmp_path).values()}
    assert found == {row["file_name"]: expected[place % 4] for place, row in enumerate(rows)}


@pytest.mark.parametrize("value", [{"colour": "red"}, [["red"]], [{"name": "red"}]])
def test_attributes_that_are_no_texts_are_refused(tmp_path: Path, value: object) -> None:
    rows = [row | {"tags": value} for row in captioned(tmp_path / "photos", 12)]
    pd.DataFrame(rows).to_json(tmp_path / "photos" / "metadata.jsonl", orient="records", lines=True)
    columns = {"image": "file_name", "caption": "text", "attributes": ["tags"]}
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos"), "columns": columns})
    message = refused("prepare", path)
    assert f"metadata.jsonl: row 1: tags is a {type(value).__name__}, expected one text or a list of texts" in message


def test_parquet_numbers_with_gaps_lists_and_an_index_are_texts(tmp_path: Path) -> None:
    table = pd.DataFrame({"n": pd.array([9007199254740993, None], dtype="Int64"), "l": [[1, 2], None], "i": ["a", "b"]})
    table.set_index("i").to_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet", ["i", "n", "l"], lists=["l"])
    assert found["l"].tolist() == ["1, 2", ""]
    assert found["n"].tolist() == ["9007199254740993", ""]
    assert found["i"].tolist() == ["a", "b"]


def test_a_table_that_is_a_pipe_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png")
    os.mkfifo(tmp_path / "photos" / "metadata.csv")
    assert "metadata.csv: expected a file, found a pipe" in refused("validate", folder_recipe(tmp_path))
