"""`lookbook score`: who is scored on what, and what happens when something is wrong."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caption_files import reference, row, write_system
from typer.testing import Result

from metrics import CaptionRecord, UserError, score_captions, write_records

pytestmark = pytest.mark.java

Score = Callable[..., Result]


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert all(part in result.stderr for part in parts), result.stderr


def test_systems_are_scored_side_by_side(score: Score, systems: list[Path], tmp_path: Path) -> None:
    result = score(*systems, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "out" / "report.html") in result.stdout
    report = report_of(tmp_path / "out")
    assert [system["name"] for system in report["systems"]] == ["most frequent", "pretrained", "fine-tuned"]
    assert report["slices"] == {"all": 40, "seen": 30, "unseen": 10}
    cider = [system["scores"]["unseen"]["CIDEr"] for system in report["systems"]]
    assert cider[1]["value"] < cider[0]["value"] < cider[2]["value"]
    assert cider[0]["signature"].startswith(
        "CIDEr-D|tok:ptb-3.4.1|refs:1|n:10|df:40|unit:reference+photo|clusters:10|lookbook:"
    )
    bleu = report["systems"][0]["scores"]["all"]["BLEU-4"]["signature"]
    assert bleu.startswith("BLEU-4|tok:ptb-3.4.1|refs:1|n:40|unit:reference+photo|clusters:40|lookbook:")
    assert [system["finished"] for system in report["systems"]] == [0.9] * 3
    assert [system["mean_words"] for system in report["systems"]] == [5, 2, 9]
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert len(items) == 3 * 40
    texts = {"id", "system", "seen", "caption", "logprob"}
    assert set(items[0]) == {*texts, "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"}


def test_missing_captions_score_zero_and_are_named(score: Score, tmp_path: Path) -> None:
    rows = [row(number, reference(number), reference(number)) for number in range(4)]
    rows.append({"id": "punctuation", "references": ["..."], "caption": "..."})
    del rows[1]["references"]
    references = [CaptionRecord(f"0{n:03d}", references=(reference(n),)) for n in range(4)]
    references.append(CaptionRecord("punctuation", references=("...",)))
    write_records(tmp_path / "references.jsonl", references)
    captions = write_system(tmp_path / "mine", rows[:2])
    assert score(captions, "--out", tmp_path / "out", "--references", tmp_path / "references.jsonl").exit_code == 0
    [system] = report_of(tmp_path / "out")["systems"]
    assert system["name"] == "mine"
    assert system["missing"] == ["0002", "0003", "punctuation"]
    # Two perfect captions of five; nothing but punctuation against a missing caption is 0 as well.
    assert system["scores"]["all"]["ROUGE-L"]["value"] == 2 / 5
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert [item["ROUGE-L"] for item in items] == [1, 1, 0, 0, 0]
    assert [item["CIDEr"] for item in items][2:] == [0, 0, 0]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "no caption, so scored 0, for 0002, 0003, punctuation." in " ".join(page.split())


def test_the_items_are_those_of_all_systems(score: Score, tmp_path: Path) -> None:
    one = write_system(tmp_path / "one", [row(n, "a dress", reference(n)) for n in (0, 1)])
    two = write_system(tmp_path / "two", [row(1, "a dress", reference(1)), row(2, " ", reference(2), seen=True)])
    assert score(one, two, "--out", tmp_path / "out").exit_code == 0
    report = report_of(tmp_path / "out")
    assert report["slices"] == {"all": 3, "seen": 1}
    assert [system["missing"] for system in report["systems"]] == [["0002"], ["0000"]]
    assert [system["empty"] for system in report["systems"]] == [[], ["0002"]]


def test_names_are_unique(score: Score, tmp_path: Path) -> None:
    paths = [write_system(tmp_path / name / "run", [row(0, "a", "a")]) for name in "abc"]
    assert score(*paths, "--out", tmp_path / "out").exit_code == 0
    assert [system["name"] for system in report_of(tmp_path / "out")["systems"]] == ["run", "run (2)", "run (3)"]


def test_an_unknown_id_is_named(score: Score, tmp_path: Path) -> None:
    write_records(tmp_path / "references.jsonl", [CaptionRecord("0000", references=("a dress",))])
    captions = write_system(tmp_path, [row(0, "a", "a"), row(7, "a", "a")])
    result = score(captions, "--out", tmp_path / "out", "--references", tmp_path / "references.jsonl")
    refused(result, "'0007'", str(captions), "not among the references")
    assert not (tmp_path / "out").exists()


def test_different_references_for_one_id(score: Score, tmp_path: Path) -> None:
    one, two = (write_system(tmp_path / name, [row(0, "a", f"reference {name}")]) for name in ("one", "two"))
    refused(score(one, two, "--out", tmp_path / "out"), "'0000'", str(two), "other references")


def test_no_references(score: Score, tmp_path: Path) -> None:
    captions = write_system(tmp_path, [{"id": str(number), "caption": "a"} for number in range(7)])
    refused(score(captions, "--out", tmp_path / "out"), "'0', '1', '2', '3', '4' and 2 more", "--references")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("{", "expected a JSON object, found damaged text"),
        ("[]", "expected a JSON object"),
        ('{"kind": "best"}', '"kind" must be one of baseline, control, pretrained, finetuned'),
        ('{"catalogue": {"folder": 7}}', 'catalogue: "folder" must be a string, found 7'),
        ('{"loss_history": [1]}', "loss_history[0]: expected a JSON object"),
    ],
)
def test_a_bad_run_file_is_named_with_its_key(score: Score, tmp_path: Path, run: str, message: str) -> None:
    captions = write_system(tmp_path, [row(0, "a", "a")])
    (tmp_path / "run.json").write_text(run)
    refused(score(captions, "--out", tmp_path / "out"), str(tmp_path / "run.json"), message, "write the captions again")


def test_missing_files(score: Score, tmp_path: Path) -> None:
    refused(
        score(tmp_path / "none.jsonl", "--out", tmp_path), "none.jsonl: no such file; expected captions or references"
    )
    refused(score(tmp_path, "--out", tmp_path), str(tmp_path), "Is a directory")


def test_a_folder_that_cannot_be_made(score: Score, tmp_path: Path) -> None:
    captions = write_system(tmp_path, [row(0, "a", "a")])
    refused(score(captions, "--out", captions), str(captions), "another --out")


def test_a_full_disk_leaves_no_half_file(score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = write_system(tmp_path, [row(0, "a", "a")])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(score(captions, "--out", tmp_path / "out"), ".lookbook.json", "No space left on device")
    assert list((tmp_path / "out").iterdir()) == []


def test_no_java(score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    refused(score(write_system(tmp_path, [row(0, "a", "a")]), "--out", tmp_path / "out"), "JAVA_HOME is /nowhere")


def test_the_api_says_what_is_wrong() -> None:
    with pytest.raises(UserError, match="nothing to score"):
        score_captions([])
    with pytest.raises(UserError, match="is repeated"):
        score_captions([CaptionRecord("1", "a", references=("a",))] * 2)


@pytest.mark.processes
def test_scoring_is_light() -> None:
    heavy = ["torch", "pandas", "datasets", "transformers", "finetune", "pycocoevalcap.bleu"]
    code = f"import sys, metrics.__main__; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.processes
def test_the_module_runs_as_a_command(systems: list[Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "metrics", "score", *map(str, systems), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fine-tuned" in done.stdout
    assert (tmp_path / "report.md").is_file()


def test_a_measure_that_is_asked_for_must_be_able_to_run(score: Callable[..., Result], tmp_path: Path) -> None:
    captions = write_system(tmp_path, [row(0, "a", "a")])
    result = score(captions, "--out", tmp_path / "out", "--measure", "Acc")
    assert result.exit_code == 2
    assert "--measure Acc: no classifier given" in result.stderr
    result = score(captions, "--out", tmp_path / "out", "--stanza", "a folder")
    assert result.exit_code == 2
    assert "--stanza a folder: its lemmas are looked up in a vocabulary" in result.stderr


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_scored(
    score: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.reports.score_files.score_systems", lambda *_: pytest.fail("scored"))
    captions = write_system(tmp_path, [row(0, "a", "a")])
    result = score(captions, "--out", captions / "out")
    assert result.exit_code == 2
    assert "cannot make the folder" in result.stderr
