"""`fill`: which items get a description, what stays as it is, and that a model's words are never trained on."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny import article, captioned, finetune, kaggle, lines, photo, prepared, recipe, write_csv
from tiny_facad import TEST, TRAIN, VALIDATION, facad
from tiny_models import write_tiny
from typer.testing import Result

from finetune.captioning.filling.rules import Rules
from finetune.config.recipe import load_recipe
from finetune.data.preparation import prepare
from metrics.records.captions import CaptionRecord

COUNT = 30
EMPTY, NO_PHOTO, SHORT = "0100000004", "0100000009", "0100000012"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Thirty articles; of two without description one has no photo, one has a description of a single word."""
    rows = [article(number) for number in range(COUNT)]
    for row in rows:
        if row["article_id"] in (EMPTY, NO_PHOTO):
            row["detail_desc"] = ""
        if row["article_id"] == SHORT:
            row["detail_desc"] = "Dress"
    return kaggle(tmp_path / "hm", rows, [NO_PHOTO])


def hm(folder: Path, catalogue: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return recipe(folder, {"catalogue": "hm", "folder": str(catalogue)}, decoding={"max_new_tokens": 6})


def fill(place: Path, model: Path, out: Path, *options: Any) -> Result:
    return finetune("fill", place, "--model", model, "--out", out, *options)


def filled(place: Path, model: Path, out: Path, *options: Any) -> dict[str, Any]:
    """Fill, and return the record beside the new table."""
    result = fill(place, model, out, *options)
    assert result.exit_code == 0, result.output
    (record,) = out.glob("*.filled.json")
    return dict(json.loads(record.read_text(encoding="utf-8")))


def refusal(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return str(result.stderr)


def test_the_missing_description_is_filled_and_nothing_else(catalogue: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "filled"
    before = (catalogue / "articles.csv").read_bytes()
    result = fill(catalogue, base, out, "--words-at-least", 1)
    assert result.exit_code == 0, result.output
    assert "1 descriptions filled, 0 captions withheld" in result.stdout
    assert "1  rows without a description have no photo either" in result.stdout
    assert (catalogue / "articles.csv").read_bytes() == before
    old, new = before.splitlines(keepends=True), (out / "articles.csv").read_bytes().splitlines(keepends=True)
    [changed] = [number for number, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    assert next(csv.reader([old[changed].decode()]))[:-1] == next(csv.reader([new[changed].decode()]))[:-1]
    [caption] = lines(out / "captions.jsonl")
    assert caption["id"] == EMPTY
    assert next(csv.reader([new[changed].decode()]))[-1] == caption["caption"] != ""
    record = json.loads((out / "articles.csv.filled.json").read_text())
    assert record["filled"][EMPTY]["text"] == caption["caption"]
    assert 0 < record["filled"][EMPTY]["confidence"] < 1
    assert record["system"]["model"] == str(base)
    page = (out / "contact-sheet.html").read_text(encoding="utf-8")
    assert EMPTY in page and page.count("data:image/jpeg") == 1


def test_a_model_s_words_are_no_references(catalogue: Path, base: Path, tmp_path: Path) -> None:
    path = hm(tmp_path / "before", catalogue)
    fingerprint = prepare(load_recipe(path).data).account.fingerprint
    out = tmp_path / "filled"
    text = filled(path, base, out)["filled"][EMPTY]["text"]
    adopt(out, catalogue)
    assert prepare(load_recipe(path).data).account.fingerprint == fingerprint  # so unfinished runs still resume
    assert "1  description filled by a model" in prepared(path)
    items = pd.read_parquet(tmp_path / "before" / "out" / "items.parquet").set_index("id")
    assert (items.loc[EMPTY, "role"], items.loc[EMPTY, "description"]) == ("undescribed", text)
    written = (catalogue / "articles.csv").read_text().replace(text, f"{text} Lined.")
    (catalogue / "articles.csv").write_text(written)  # the shop has corrected it
    assert "description filled by a model" not in prepared(path)
    items = pd.read_parquet(tmp_path / "before" / "out" / "items.parquet").set_index("id")
    assert items.loc[EMPTY, "role"] in ("train", "validation", "test")
    (catalogue / "articles.csv.filled.json").write_text('{"filled": [1]}')
    assert "restore it from a copy" in refusal(finetune("prepare", path))


def test_words_of_earlier_fillings_stay_marked(base: Path, tmp_path: Path) -> None:
    rows = [article(number) for number in range(COUNT)]
    rows[4] |= {"detail_desc": "", "product_type_name": "Cape"}
    rows[6]["detail_desc"] = ""
    catalogue, path = kaggle(tmp_path / "hm", rows), hm(tmp_path / "run", tmp_path / "hm")
    other = rows[6]["article_id"]
    first = filled(path, base, tmp_path / "first")
    adopt(tmp_path / "first", catalogue)
    second = filled(path, base, tmp_path / "second", "--category", "Cape")
    assert (set(first["filled"]), set(second["filled"])) == ({EMPTY, other}, {EMPTY})
    assert second["earlier"] == [
        {"written": first["written"], "system": first["system"], "filled": {other: first["filled"][other]}}
    ]
    adopt(tmp_path / "second", catalogue)
    assert "2  description filled by a model" in prepared(path)
    third = filled(path, base, tmp_path / "third", "--min-confidence", 1)
    assert (third["filled"], set(third["withheld"])) == ({}, {EMPTY, other})
    adopt(tmp_path / "third", catalogue)
    assert "2  description filled by a model" in prepared(path)
    items = pd.read_parquet(tmp_path / "run" / "out" / "items.parquet").set_index("id")
    assert items.loc[[EMPTY, other], "role"].tolist() == ["undescribed"] * 2
    assert items.loc[other, "description"] == first["filled"][other]["text"]


def adopt(out: Path, catalogue: Path) -> None:
    """As docs/captioning.md says: the new table, and its record beside it."""
    for name in ("articles.csv", "articles.csv.filled.json"):
        shutil.copy(out / name, catalogue)


def test_short_descriptions_are_overwritten_on_request(catalogue: Path, base: Path, tmp_path: Path) -> None:
    record = filled(hm(tmp_path / "run", catalogue), base, tmp_path / "filled", "--overwrite-short", 2)
    assert set(record["filled"]) == {EMPTY, SHORT}
    page = (tmp_path / "filled" / "contact-sheet.html").read_text()
    assert "Before: <span" in page and "2 articles got\n  a new description." in page


def test_doubtful_captions_are_withheld_and_named(catalogue: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "filled"
    first = filled(catalogue, base, out)
    sure = first["filled"][EMPTY]["confidence"]
    second = filled(catalogue, base, out, "--min-confidence", min(sure * 1.01, 1))
    assert second["filled"] == {}
    assert second["withheld"][EMPTY]["reason"].startswith("confidence below")
    assert (out / "articles.csv").read_bytes() == (catalogue / "articles.csv").read_bytes()
    assert (out / "captions.jsonl").read_text() == ""
    assert "withheld: confidence below" in (out / "contact-sheet.html").read_text()
    third = filled(catalogue, base, out, "--min-confidence", sure * 0.99)
    assert third["filled"].keys() == {EMPTY}


@pytest.mark.parametrize(
    ("caption", "logprob", "reason"),
    [
        (" ", -0.1, "empty caption"),
        ("two words", -0.1, "fewer than 3 words"),
        ("three whole words", -1.0, "confidence below 0.5"),
        ("- three whole words", 0.0, "begins with = + - or @, which spreadsheets take for a formula"),
        ("three whole words", None, "confidence below 0.5"),
        ("three whole words", -0.6, None),
    ],
)
def test_why_a_caption_is_withheld(caption: str, logprob: float | None, reason: str | None) -> None:
    rules = Rules(min_confidence=0.5, words_at_least=3)
    assert rules.reason_against(CaptionRecord("a", caption, logprob=logprob)) == reason


def test_only_what_fill_wrote_is_replaced(catalogue: Path, base: Path, tmp_path: Path) -> None:
    assert "holds what Lookbook did not write there: articles.csv, images;" in refusal(fill(catalogue, base, catalogue))
    out = tmp_path / "filled"
    filled(catalogue, base, out)
    corrected = (out / "articles.csv").read_text() + " "
    (out / "articles.csv").write_text(corrected)
    assert "was changed since fill wrote it" in refusal(fill(catalogue, base, out))
    assert (out / "articles.csv").read_text() == corrected


def test_a_category_that_no_described_article_has_can_be_filled(base: Path, tmp_path: Path) -> None:
    rows = [article(number) for number in range(COUNT)]
    rows[4] |= {"detail_desc": "", "product_type_name": "Cape"}
    rows[6]["detail_desc"] = ""
    catalogue = kaggle(tmp_path / "hm", rows)
    record = filled(catalogue, base, tmp_path / "filled", "--category", "Cape")
    assert set(record["filled"]) == {EMPTY}
    assert [one["category"] for one in lines(tmp_path / "filled" / "captions.jsonl")] == ["Cape"]
    assert "no such category; it has Cape, Dress" in refusal(
        fill(catalogue, base, tmp_path / "other", "--category", "Hat")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--category", "Hat"], "the catalogue has no such category; it has Dress"),
        (["--min-confidence", "2"], "--min-confidence"),
        (["--set", "seed=1"], "--set seed=1: changes a recipe, and none is given; without one only decoding.KEY=VALUE"),
        (["--catalogue", "hm"], "--catalogue chooses among the catalogues of a recipe"),
        (["--limit", "1"], "--limit: applies only to a recipe"),
    ],
)
def test_bad_requests_are_refused(
    catalogue: Path, base: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = fill(catalogue, base, tmp_path / "filled", *options)
    assert message in refusal(result)
    assert not (tmp_path / "filled").exists()


def test_a_table_in_another_encoding_is_refused(catalogue: Path, base: Path, tmp_path: Path) -> None:
    table = catalogue / "articles.csv"
    table.write_bytes(table.read_text().replace("Soft", "Sóft").encode("latin-1"))
    assert "not UTF-8 text" in refusal(fill(catalogue, base, tmp_path / "filled"))


def test_nothing_to_fill_is_said(shop: Path, base: Path, tmp_path: Path) -> None:
    assert "no article with a photo lacks a description" in refusal(fill(shop, base, tmp_path / "filled"))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_shop_s_own_table_keeps_its_columns(base: Path, tmp_path: Path, suffix: str) -> None:
    rows: list[dict[str, Any]] = [row | {"stock": number} for number, row in enumerate(captioned(tmp_path / "shop"))]
    rows[4]["text"] = rows[5]["text"] = ""
    table = pd.DataFrame(rows)
    path = tmp_path / "shop" / f"items.{suffix}"
    writers = {"csv": table.to_csv, "parquet": table.to_parquet}
    if suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        writers[suffix](path, index=False)
    data = {"catalogue": "folder", "folder": str(path.parent), "table": path.name}
    columns = {"caption": "text", "category": "kind"}
    record = filled(recipe(tmp_path, data | {"columns": columns}), base, tmp_path / "new", "--category", "bag")
    assert list(record["filled"]) == ["005.png"]
    readers: dict[str, Any] = {"csv": pd.read_csv, "parquet": pd.read_parquet}
    read = readers.get(suffix, lambda file, **_: pd.read_json(file, lines=True))
    options = {"keep_default_na": False} if suffix == "csv" else {}
    table.loc[5, "text"] = record["filled"]["005.png"]["text"]
    pd.testing.assert_frame_equal(read(tmp_path / "new" / path.name, **options), table)


def test_photos_without_a_table_get_one(base: Path, tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "shop" / f"{number}.png", (number * 80, 90, 90))
    record = filled(tmp_path / "shop", base, tmp_path / "new")
    table = pd.read_csv(tmp_path / "new" / "metadata.csv")
    assert table["file_name"].tolist() == ["0.png", "1.png", "2.png"]
    assert table["caption"].tolist() == [record["filled"][name]["text"] for name in table["file_name"]]


def test_a_table_whose_descriptions_nobody_names_is_refused(base: Path, tmp_path: Path) -> None:
    rows = [{"file_name": row["file_name"], "words": row["text"]} for row in captioned(tmp_path / "shop", 3)]
    write_csv(tmp_path / "shop" / "metadata.csv", rows)
    message = refusal(fill(tmp_path / "shop", base, tmp_path / "new"))
    assert "metadata.csv: expected a column of descriptions, called caption, description, text" in message
    assert "found file_name, words; name it in a recipe (data.columns.caption)" in message


def test_a_catalogue_without_a_table_gets_captions_alone(base: Path, tmp_path: Path) -> None:
    folder = facad(tmp_path / "facad", (TRAIN, VALIDATION, [*TEST, ("", 1, "")]))
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(folder)}, decoding={"max_new_tokens": 4})
    result = fill(path, base, tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert "no table that could be written" in result.stdout
    assert len(lines(tmp_path / "new" / "captions.jsonl")) == 1
    assert json.loads((tmp_path / "new" / "filled.json").read_text())["table"] is None
