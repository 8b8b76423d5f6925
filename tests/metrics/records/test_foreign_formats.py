"""Captions and references in other people's formats: COCO, CSV, TSV, Parquet; what is scored is the same."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metrics import CaptionRecord, UserError, read_captions, read_records, read_references
from metrics.__main__ import app

pd = pytest.importorskip("pandas", reason="the extra `train` is not installed")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CAPTIONS = {139: "a long red dress", 285: "a blue top with pockets"}
REFERENCES = [(139, "a red dress"), (285, "blue top, two pockets"), (139, "long dress in red")]
ANNOTATIONS = {
    "info": {"year": 2014},
    "images": [{"id": 139, "file_name": "139.jpg"}, {"id": 285, "file_name": "285.jpg"}],
    "annotations": [{"id": n, "image_id": key, "caption": text} for n, (key, text) in enumerate(REFERENCES)],
}
RESULTS = [{"image_id": key, "caption": text} for key, text in CAPTIONS.items()]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return path


def invoked(*arguments: Any) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--measure", "CIDEr"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.java
def test_every_format_scores_the_same(tmp_path: Path) -> None:
    rows = [{"id": str(key), "caption": text} for key, text in CAPTIONS.items()]
    ours = write(tmp_path / "ours.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    coco = write(tmp_path / "results.json", RESULTS)
    table = tmp_path / "captions.parquet"
    pd.DataFrame({"image_id": list(CAPTIONS), "text": list(CAPTIONS.values())}).to_parquet(table)
    annotations = write(tmp_path / "annotations.json", ANNOTATIONS)
    listed = tmp_path / "references.csv"
    pd.DataFrame(REFERENCES, columns=["Image ID", "Caption"]).to_csv(listed, sep=";", index=False)
    printed = invoked("score", ours, coco, table, "--references", annotations, "--out", tmp_path / "score")
    assert "captions.parquet: id from image_id; caption from text" in printed
    systems = json.loads((tmp_path / "score" / "report.json").read_text())["systems"]
    assert len({json.dumps(system["scores"]["all"]["CIDEr"]["value"]) for system in systems}) == 1
    assert systems[0]["scores"]["all"]["CIDEr"]["value"] > 0
    invoked("compare", coco, "--references", listed, "--out", tmp_path / "compare")
    [row] = json.loads((tmp_path / "compare" / "comparison.json").read_text())["slices"][0]["rows"]
    assert row["scores"]["CIDEr"]["value"] == pytest.approx(100 * systems[0]["scores"]["all"]["CIDEr"]["value"])


def test_coco_annotations_are_references_and_no_captions(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", ANNOTATIONS)
    one, other = read_references(path)
    assert one == CaptionRecord("139", image="139.jpg", references=("a red dress", "long dress in red"))
    assert (other.id, other.references) == ("285", ("blue top, two pockets",))
    with pytest.raises(UserError, match='id "139" has no "caption"; is this a references file'):
        read_captions(path)
    assert [record.references for record in read_references(write(tmp_path / "b.json", RESULTS))] == [
        ("a long red dress",),
        ("a blue top with pockets",),
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "file_name,title\n1.jpg,a\n2.jpg,\n", [("1.jpg", "a", ()), ("2.jpg", "", ())]),
        ("a.csv", "id,caption,reference_1,Reference 2\n007,a,b,c\n", [("007", "a", ("b", "c"))]),
        ("a.csv", 'id,caption,references\n1,a,"[""b"", ""c""]"\n', [("1", "a", ("b", "c"))]),
        ("a.tsv", "sku\tdescription\n01\t'=1+1\n", [("01", "=1+1", ())]),
        ("a.json", '{"id": 7, "caption": "a"}\n{"id": "08", "caption": "b"}\n', [("7", "a", ()), ("08", "b", ())]),
        ("a.jsonl", '[{"id": "7", "caption": "a"}]', [("7", "a", ())]),
    ],
)
def test_columns_are_found_by_their_names(
    tmp_path: Path, name: str, text: str, expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    records = read_records(write(tmp_path / name, text))
    assert [(record.id, record.caption, record.references) for record in records] == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "sku,words\n1,a\n", "expected a column of ids .* and one of captions .*; found sku, words"),
        ("a.csv", "id,caption\n1,a\n1,b\n", r'a\.csv:3: id "1" is already in line 2'),
        ("a.csv", "id,caption,tokens\n1,a,many\n", r"a\.csv:2: tokens: found 'many'"),
        ("a.csv", "id,caption\n", "the file is empty"),
        ("a.json", "[{}", "not JSON"),
        ("a.json", '[{"image_id": 1.5, "caption": "a"}]', '"image_id" must be a string or a whole number, found 1.5'),
        ("a.json", '{"images": [1], "annotations": []}', r"images\[0\]: expected an object with id, found 1"),
        ("a.json", '{"annotations": {"caption": 1}}', "annotations: expected a list, found dict"),
        ("a.parquet", "PAR1", "cannot read the table"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_records(write(tmp_path / name, text))


def test_ids_that_lost_their_zeros_are_recognised(tmp_path: Path) -> None:
    captions = write(tmp_path / "a.csv", "id,caption\n108775015,a\n")
    references = write(tmp_path / "r.csv", "id,caption\n0108775015,a\n")
    arguments = ["score", str(captions), "--references", str(references), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--measure", "CIDEr"])
    assert result.exit_code == 2
    assert "write ids as text, so that they keep their zeros" in result.output


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx", ".parquet", ".json", ".jsonl", ".txt"])
def test_a_pipe_is_no_file_of_captions_or_references(tmp_path: Path, suffix: str) -> None:
    pipe = tmp_path / f"pipe{suffix}"
    os.mkfifo(pipe)
    captions = write(tmp_path / "captions.json", RESULTS)
    texts = write(tmp_path / "references.json", ANNOTATIONS)
    for system, references, training in ((pipe, texts, texts), (captions, pipe, texts), (captions, texts, pipe)):
        given = ["score", system, "--references", references, "--training", training, "--out", tmp_path / "out"]
        result = CliRunner().invoke(app, [*map(str, given), "--measure", "CIDEr"])
        assert result.exit_code == 2, result.output
        assert f"{pipe}: expected a file, found a pipe" in result.output


def test_cocos_results_may_be_lines_too(tmp_path: Path) -> None:
    entries = [*RESULTS, {"id": 7, "image_id": 139, "caption": "a dress"}]
    lines = write(tmp_path / "a.jsonl", "".join(f"{json.dumps(one)}\n" for one in entries))
    assert read_references(lines) == read_references(write(tmp_path / "a.json", entries))
    assert [record.id for record in read_references(lines)] == ["139", "285"]
    lines.write_text("".join(f"{json.dumps(one)}\n" for one in RESULTS))
    assert [record.caption for record in read_captions(lines)] == list(CAPTIONS.values())
    ours = write(tmp_path / "ours.jsonl", json.dumps({"id": "a", "image_id": 1, "caption": "b"}))
    assert read_captions(ours)[0].id == "a"


def test_messages_name_what_was_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"if these are COCO annotations, call it \.json"):
        read_references(write(tmp_path / "a.txt", ANNOTATIONS))
    with pytest.raises(UserError, match=r'"image_id" must be a string or a whole number, found 1\.0'):
        read_captions(write(tmp_path / "b.json", [{"image_id": 1.0, "caption": "a"}]))
    with pytest.raises(UserError, match=r'"id" must be a string or a whole number, found 1\.0'):
        read_captions(write(tmp_path / "c.json", [{"id": 1.0, "caption": "a"}]))
    table = tmp_path / "d.parquet"
    parquet.write_table(pa.table([["1"], ["a"], ["b"]], names=["id", "caption", "caption"]), table)
    with pytest.raises(UserError, match=r"d\.parquet: cannot read the table") as raised:
        read_captions(table)
    assert "\n" not in str(raised.value)
