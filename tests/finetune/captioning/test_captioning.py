"""Captions through the command line: records, batches, interruption, single photos."""

import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_models import photo, write_recipe
from training_processes import kill_all, start
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from finetune.captioning.export import write_captions
from metrics.common.errors import UserError
from metrics.common.formatting import printable
from metrics.records.captions import CaptionRecord, read_records
from metrics.records.spreadsheets import is_formula


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose tiny base model exists; its test split has 24 items."""
    root = tmp_path_factory.mktemp("captioning")
    path = write_recipe(root, data={"articles": 400}, decoding={"max_new_tokens": 12, "batch_size": 5})
    assert CliRunner().invoke(app, ["make-tiny", str(path)]).exit_code == 0
    return path


def caption(recipe: Path, out: Path, *options: str) -> Result:
    base = recipe.parent / "base"
    return CliRunner().invoke(
        app, ["caption", "--model", str(base), "--data", str(recipe), "--out", str(out), *options]
    )


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_tell_where_the_caption_comes_from(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "captions.jsonl"
    result = caption(recipe, out)
    assert result.exit_code == 0, result.output
    records = read(out)
    assert len(records) == len({record["id"] for record in records}) == 24
    for record in records:
        assert (recipe.parent / "demo" / record["image"]).is_file()
        assert len(record["references"]) == 1
        assert record["references"][0] == record["references"][0].lower()
        assert record["split"] == "test"
        assert isinstance(record["seen"], bool)
        assert record["logprob"] < 0
        assert 1 <= record["tokens"] <= 12
        assert record["attributes"]["colour"]
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["kind"] == "pretrained"
    assert run["decoding"]["max_new_tokens"] == 12
    assert run["leak_audit"]["test_items"] == 24
    assert run["catalogue"]["folder"] == str((recipe.parent / "demo").resolve())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.jsonl", "run.json"]


@pytest.mark.slow
@pytest.mark.parametrize("beams", [1, 2])
def test_batch_size_changes_no_caption(recipe: Path, tmp_path: Path, beams: int) -> None:
    texts = []
    for size in (1, 7):
        out = tmp_path / f"{size}" / "captions.jsonl"
        settings = ["--set", f"decoding.batch_size={size}", "--set", f"decoding.beams={beams}"]
        assert caption(recipe, out, *settings).exit_code == 0
        texts.append([(record["id"], record["caption"], record["tokens"], record["finished"]) for record in read(out)])
    assert texts[0] == texts[1]


@pytest.mark.processes
def test_a_killed_run_resumes_where_it_stopped(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = tmp_path / "whole" / "captions.jsonl", tmp_path / "killed" / "captions.jsonl"
    settings = ["--set", "decoding.batch_size=1", "--split", "train"]
    assert caption(recipe, whole, *settings).exit_code == 0
    command = ["caption", "--model", str(recipe.parent / "base"), "--data", str(recipe), "--out", str(out), *settings]
    process = start(*command, log=tmp_path / "log")
    while not (journals := list(out.parent.glob(".captions*"))) or journals[0].read_bytes().count(b"\n") < 3:
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.002)
    kill_all([process])
    assert not out.exists()
    done = journals[0].read_bytes().count(b"\n")
    journals[0].write_bytes(journals[0].read_bytes() + b'{"id": "cut o')
    monkeypatch.setattr("metrics.common.screen.LINE_SECONDS", 0)
    result = caption(recipe, out, *settings)
    assert result.exit_code == 0, result.output
    assert f"{24 - done}" in result.stderr
    assert read(out) == read(whole)
    assert not list(out.parent.glob(".captions*"))


def test_captions_that_stand_are_only_read(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "captions.jsonl"
    assert caption(recipe, out).exit_code == 0
    before = out.stat().st_mtime_ns
    assert caption(recipe, out).exit_code == 0
    assert out.stat().st_mtime_ns == before
    assert caption(recipe, out, "--set", "decoding.max_new_tokens=3").exit_code == 0
    assert out.stat().st_mtime_ns != before
    assert all(record["tokens"] <= 3 for record in read(out))


def test_ids_limit_and_splits(recipe: Path, tmp_path: Path) -> None:
    everything = tmp_path / "all.jsonl"
    assert caption(recipe, everything, "--split", "all").exit_code == 0
    records = read(everything)
    assert {record["split"] for record in records} == {"train", "validation", "test", "undescribed"}
    undescribed = [record for record in records if record["split"] == "undescribed"]
    assert undescribed
    assert all(record["references"] == [] and record["caption"] for record in undescribed)

    chosen = [records[30]["id"], records[2]["id"]]
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(chosen))
    assert caption(recipe, tmp_path / "some.jsonl", "--split", "all", "--ids", str(ids)).exit_code == 0
    assert {record["id"] for record in read(tmp_path / "some.jsonl")} == set(chosen)
    assert caption(recipe, tmp_path / "three.jsonl", "--limit", "3").exit_code == 0
    assert len(read(tmp_path / "three.jsonl")) == 3


def test_tables(recipe: Path, tmp_path: Path) -> None:
    for form in ("jsonl", "csv", "parquet"):
        assert caption(recipe, tmp_path / f"captions.{form}", "--format", form).exit_code == 0
    records = read(tmp_path / "captions.jsonl")
    with (tmp_path / "captions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pd.read_parquet(tmp_path / "captions.parquet")
    expected = [(record["id"], record["caption"], record["references"]) for record in records]
    assert [(row["id"], row["caption"], json.loads(row["references"])) for row in rows] == expected
    assert [(row["id"], row["caption"], list(row["references"])) for row in table.to_dict("records")] == expected


def test_photos_and_folders(recipe: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        photo(number).save(photos / f"{number}.png")
    base = str(recipe.parent / "base")
    paths = [str(path) for path in sorted(photos.iterdir())]
    spoken = CliRunner().invoke(app, ["caption", *paths, "--model", base])
    assert spoken.exit_code == 0, spoken.output
    lines = [line for line in spoken.stdout.splitlines() if line.startswith(paths[0][:-5])]
    out = tmp_path / "captions.jsonl"
    options = ["--model", base, "--data", str(photos), "--out", str(out)]
    assert CliRunner().invoke(app, ["caption", *options]).exit_code == 0
    assert [printable(f"{photos / record['id']}: {record['caption']}") for record in read(out)] == lines


def test_decoding_is_changed_without_a_recipe(recipe: Path, tmp_path: Path) -> None:
    photo(0).save(tmp_path / "0.png")
    model, path = ["--model", str(recipe.parent / "base")], str(tmp_path / "0.png")
    lengths = []
    for change in (["--set", "decoding.max_new_tokens=1"], ["--set", "decoding.max_new_tokens=9"]):
        result = CliRunner().invoke(app, ["caption", *model, *change, path])
        assert result.exit_code == 0, result.output
        lengths.append(len(result.stdout))
    assert lengths[0] < lengths[1]
    for arguments, message in [
        (["--set", "seed=1", path], "--set seed=1: changes a recipe, and none is given; without one only decoding."),
        (["--set", "decoding.beam=3", path], "did you mean 'beams'"),
        (
            [path, "decoding.beams=4"],
            "decoding.beams=4: no such photo; to change a setting write --set decoding.beams=4",
        ),
    ]:
        refused = CliRunner().invoke(app, ["caption", *model, *arguments])
        assert refused.exit_code == 2
        assert message in refused.stderr


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_of_captions_has_no_formulas_and_is_read_back(tmp_path: Path, form: Any) -> None:
    texts = ['=HYPERLINK("http://evil")', "- 100% cotton", "'90s", "a\r\nb", "", "+1", "@SUM(1)"]
    records = [
        CaptionRecord(
            f"={number}", text, references=(text, "b"), attributes={"colour": text}, seen=False, tokens=number
        )
        for number, text in enumerate(texts)
    ]
    records.append(CaptionRecord("last", "x", product_id="-1", logprob=-0.5, finished=True))
    path = tmp_path / f"captions.{form}"
    write_captions(path, records, form)
    assert read_records(path) == records
    if form == "csv":
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert [cell for cell in cells if is_formula(cell)] == ["-0.5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "tets"], "--split tets: expected one of all"),
        (["--format", "xlsx"], "--format xlsx"),
        (["--ids", "absent.txt"], "--ids absent.txt"),
        (["--set", "decoding.beam=3"], "did you mean 'beams'"),
    ],
)
def test_wrong_options_are_one_message(recipe: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = caption(recipe, tmp_path / "captions.jsonl", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_ids_are_read_from_a_file_with_or_without_a_mark_and_from_no_pipe(recipe: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = caption(recipe, tmp_path / "captions.jsonl", "--ids", str(tmp_path / "pipe"))
    assert (result.exit_code, "expected a file, found a pipe" in result.stderr) == (2, True)
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbf0000000000\n")
    result = caption(recipe, tmp_path / "captions.jsonl", "--ids", str(tmp_path / "ids.txt"))
    assert "0000000000" in result.stderr
    assert not any(mark in result.stderr for mark in ("\ufeff", r"\ufeff"))


def test_unknown_ids_and_absent_things_are_named(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("0000000000\n")
    unknown = caption(recipe, tmp_path / "captions.jsonl", "--ids", str(tmp_path / "ids.txt"))
    assert (unknown.exit_code, "0000000000" in unknown.stderr) == (2, True)
    absent = CliRunner().invoke(app, ["caption", str(tmp_path / "absent.jpg"), "--model", str(recipe.parent / "base")])
    assert (absent.exit_code, "absent.jpg" in absent.stderr) == (2, True)
    nothing = CliRunner().invoke(app, ["caption", "--model", "somewhere/model"])
    assert (nothing.exit_code, "give either photos" in nothing.stderr) == (2, True)


@pytest.mark.slow
def test_two_systems_in_one_folder_are_not_taken_for_each_other(recipe: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    shorter = ["--set", "decoding.max_new_tokens=2"]
    assert caption(recipe, one).exit_code == 0
    whole = one.read_text()
    assert caption(recipe, two, *shorter).exit_code == 0
    assert caption(recipe, one, *shorter).exit_code == 0
    assert one.read_text() != whole
    assert [record["caption"] for record in read(one)] == [record["caption"] for record in read(two)]


def test_captions_cut_by_hand_are_made_whole(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "captions.jsonl"
    assert caption(recipe, out).exit_code == 0
    whole = out.read_text()
    out.write_text("".join(whole.splitlines(keepends=True)[:3]))
    assert caption(recipe, out).exit_code == 0
    assert out.read_text() == whole


def test_options_that_loose_photos_cannot_have_are_refused(recipe: Path, tmp_path: Path) -> None:
    photo(0).save(tmp_path / "0.png")
    arguments = [
        "caption",
        str(tmp_path / "0.png"),
        "--model",
        str(recipe.parent / "base"),
        "--out",
        str(tmp_path / "x"),
    ]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "--out: captions of single photos" in result.stderr) == (2, True)


def test_a_full_disk_is_one_message_and_nothing_is_lost(recipe: Path, tmp_path: Path) -> None:
    """On a device that is always full, instead of the disk."""
    from finetune.captioning.partial import append_to_journal

    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(UserError, match="what is captioned is kept"):
        append_to_journal(full, {"a": {"caption": "x"}})


@pytest.mark.parametrize("line", [b"[1]", b"{}", b"[" * 100_000, b"\xff"], ids=["list", "no id", "deep", "no UTF-8"])
def test_damaged_captions_of_a_killed_run_are_named_and_stay_as_they_are(tmp_path: Path, line: bytes) -> None:
    from finetune.captioning.partial import Journals

    journals = Journals(tmp_path / "captions.jsonl", "0123")
    content = b'{"id": "a", "caption": "x"}\n' + line + b'\n{"id": "cut o'
    journals.own.write_bytes(content)
    with pytest.raises(UserError, match=r"partial: expected a caption a line, .*; remove it and start again"):
        journals.read()
    assert journals.own.read_bytes() == content
    journals.own.write_bytes(content.replace(line + b"\n", b""))
    assert journals.read() == {"a": {"caption": "x"}}
    assert journals.own.read_bytes() == b'{"id": "a", "caption": "x"}\n'


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_that_cannot_be_written_is_one_message(tmp_path: Path, form: Any) -> None:
    from finetune.captioning.export import write_captions
    from metrics.records.captions import CaptionRecord

    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"cannot write .*file/captions.{form}"):
        write_captions(tmp_path / "file" / f"captions.{form}", [CaptionRecord("a", "x")], form)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
