"""Tables as people have them: columns found by their usual names, what spreadsheets write, a constant column."""

import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import tiny
from tiny import all_references, captioned, finetune, prepared, recipe

from finetune.captioning.filling.tables import filled_name, write_filled_table
from finetune.config.recipe import load_recipe
from finetune.data.catalogues import loader_of
from metrics.records.spreadsheets import read_sheet


def folder_recipe(root: Path, **data: object) -> Path:
    return recipe(root, {"catalogue": "folder", "folder": str(root / "photos")} | data)


def table_of(root: Path, **names: str) -> pd.DataFrame:
    """Ten photos with captions; `names` are other names for the columns file_name, text and kind."""
    return pd.DataFrame(captioned(root / "photos")).rename(columns=names)


def test_a_table_as_on_the_hub_needs_no_columns(tmp_path: Path) -> None:
    table_of(tmp_path).assign(title="a top").to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    printed = prepared(folder_recipe(tmp_path))
    assert "caption from the column text (there is title, too); data.columns.caption names another" in printed
    assert all_references(tmp_path)["003.png"]["references"] == ["A top, number 3."]
    assert "10  no caption" in prepared(folder_recipe(tmp_path, columns={"caption": ""}))


def test_photos_are_found_by_the_usual_names_too(tmp_path: Path) -> None:
    table = table_of(tmp_path, file_name="Image Path", text="Description")
    table.to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    printed = prepared(folder_recipe(tmp_path))
    assert "image from the column Image Path" in printed
    assert len(all_references(tmp_path)) == 10


def test_validate_looks_at_the_table_before_base_and_stanza(tmp_path: Path) -> None:
    table_of(tmp_path, text="words").to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    sections = {"model": {"base": "nobody/is-here"}, "scoring": {"stanza": str(tmp_path / "none")}}
    data = {"catalogue": "folder", "folder": str(tmp_path / "photos")}
    path = recipe(tmp_path, data, **sections)
    result = finetune("validate", path)
    assert result.exit_code == 2
    assert "none of the 10 photos" in result.stderr
    assert "no column is known to be the caption: found file_name, words, kind; data.columns.caption names it" in (
        result.stderr
    )


@pytest.mark.parametrize("form", ["a.tsv", "sep.csv", "cp1252.csv", "a.xlsx"])
def test_what_spreadsheets_write_is_read_and_filled(tmp_path: Path, form: str) -> None:
    table = table_of(tmp_path).assign(price="9,50 €")
    path = tmp_path / "photos" / form
    encoding = "cp1252" if form == "cp1252.csv" else "utf-8"
    if form == "a.xlsx":
        table.assign(**{"": ""}).to_excel(path, index=False)
    else:
        separator = "\t" if form == "a.tsv" else ";"
        lines = [separator.join((*row, "")) + "\n" for row in [list(table), *table.to_numpy().tolist()]]
        lines.insert(3, separator * len(table.columns) + "\n")
        path.write_bytes((("sep=;\n" if form == "sep.csv" else "") + "".join(lines)).encode(encoding))
    keys = {"table": form, "columns": {"attributes": ["price"]}}
    if encoding != "utf-8":
        refused = tiny.refused("prepare", folder_recipe(tmp_path, **keys))
        assert "not UTF-8 text" in refused
        assert refused.endswith("save it as UTF-8, or name its encoding by data.encoding, such as cp1252")
        keys["encoding"] = encoding
    printed = prepared(folder_recipe(tmp_path, **keys))
    assert ("1 empty row(s) ignored" in printed) == (form != "a.xlsx")
    records = all_references(tmp_path)
    assert records["004.png"]["references"] == ["A top, number 4."]
    assert records["004.png"]["attributes"] == {"price": "9,50 €"}
    header = ["file_name", "text", "kind", "price"]
    filled = tmp_path / filled_name(path)
    write_filled_table(path, filled, "text", {0: "New", 3: "Newer"}, header, keys.get("encoding"))
    texts = [row[1] for row in read_sheet(filled, encoding=keys.get("encoding")).rows]
    assert texts == ["New", *table["text"][1:3], "Newer", *table["text"][4:]]


def test_a_new_text_that_the_encoding_lacks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id;text\n1;é\n".encode("cp1252"))
    with pytest.raises(Exception, match=r"a\.csv: a new description has '綿', which cp1252 cannot write"):
        write_filled_table(tmp_path / "a.csv", tmp_path / "b.csv", "text", {0: "綿"}, encoding="cp1252")


def test_an_encoding_must_be_one(tmp_path: Path) -> None:
    for name in ("base64", "latin-99"):
        refused = tiny.refused("prepare", folder_recipe(tmp_path, encoding=name))
        assert "is no text encoding; such as utf-8" in refused


def test_the_encoding_that_is_not_given_changes_no_fingerprint(tmp_path: Path) -> None:
    table_of(tmp_path)
    section = load_recipe(folder_recipe(tmp_path)).data
    assert "encoding" not in json.loads(section.identity())
    assert loader_of(section).table().encoding is None


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({"style": "one"}, {"product_id": "style"}, "all have the same product_id, 'one'; name another column"),
        ({"text": "A top."}, {}, "all have the same caption, 'A top.'"),
    ],
)
def test_what_chains_the_items_of_a_split_is_named(
    tmp_path: Path, change: dict[str, str], columns: dict[str, str], message: str
) -> None:
    table_of(tmp_path).assign(**change).to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    refused = tiny.refused("prepare", folder_recipe(tmp_path, columns=columns))
    assert "validation, test would be empty with 10 articles in 1 groups of one product, caption or photo" in refused
    assert message in refused


def test_a_chain_through_several_columns_is_counted_by_column(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    table["style"] = [f"style {number // 2}" for number in range(10)]
    table["text"] = [f"text {(number + 1) // 2}" for number in range(10)]
    table.to_csv(tmp_path / "photos" / "metadata.csv", index=False)
    refused = tiny.refused("prepare", folder_recipe(tmp_path, columns={"product_id": "style"}))
    assert "in 1 groups of one product, caption or photo (by product_id alone 5, by caption alone 6)" in refused


def test_workbooks_of_openpyxl_are_read(tmp_path: Path) -> None:
    captioned(tmp_path / "photos")
    book = openpyxl.Workbook()
    for row in [["file_name", "caption"], ["000.png", "a"], [], ["001.png", "b"]]:
        book.active.append(row)
    book.save(tmp_path / "photos" / "metadata.xlsx")
    printed = prepared(folder_recipe(tmp_path))
    assert "1 empty row(s) ignored" not in printed, "a row without cells is no row"
    assert "2  images" in printed
