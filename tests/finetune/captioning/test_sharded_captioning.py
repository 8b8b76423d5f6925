"""Captions by several processes: each item once, the file of a single process."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import finetune, lines
from tiny_models import write_recipe
from training_processes import end, kill_all, start_two

pytestmark = [pytest.mark.processes, pytest.mark.slow]

ITEMS = 23


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose tiny base model exists."""
    root = tmp_path_factory.mktemp("sharded")
    path = write_recipe(root, data={"limit": ITEMS}, decoding={"max_new_tokens": 12, "batch_size": 5})
    assert finetune("make-tiny", path).exit_code == 0
    return path


def arguments(recipe: Path, out: Path, *options: str) -> list[Any]:
    return ["caption", "--model", recipe.parent / "base", "--data", recipe, "--split", "train", "--out", out, *options]


def test_two_processes_write_the_file_of_one(recipe: Path, tmp_path: Path) -> None:
    """23 items are 12 and 11, in batches of 5: three each, the last of 2 and of 1."""
    one, two = tmp_path / "one" / "captions.jsonl", tmp_path / "two" / "captions.jsonl"
    assert finetune(*arguments(recipe, one)).exit_code == 0
    log = tmp_path / "log"
    codes = end(start_two(*map(str, arguments(recipe, two)), log=log))
    assert codes == [0, 0], log.read_text()[-3000:]
    assert log.read_text().count(f"{ITEMS} captions") == 1
    alone, together = lines(one), lines(two)
    assert len({line["id"] for line in together}) == len(together) == ITEMS
    assert [line | {"logprob": 0} for line in together] == [line | {"logprob": 0} for line in alone]
    assert [line["logprob"] for line in together] == pytest.approx([line["logprob"] for line in alone])
    assert sorted(path.name for path in two.parent.iterdir()) == ["captions.jsonl", "run.json"]
    run = json.loads((two.parent / "run.json").read_text())
    assert run["digest"] == json.loads((one.parent / "run.json").read_text())["digest"]


def test_killed_processes_go_on_in_any_number(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed on two, gone on alone: what either has captioned is kept, and nothing is captioned twice."""
    whole, out = tmp_path / "whole" / "captions.jsonl", tmp_path / "killed" / "captions.jsonl"
    slow = ["--set", "decoding.batch_size=1"]
    assert finetune(*arguments(recipe, whole, *slow)).exit_code == 0
    processes = start_two(*map(str, arguments(recipe, out, *slow)), log=tmp_path / "log")
    while len(journals := [path for path in out.parent.glob(".captions*") if path.stat().st_size]) < 2:
        assert all(process.is_alive() for process in processes), "it ended before it could be killed"
        time.sleep(0.002)
    kill_all(processes)
    assert not out.exists()
    kept = sum(journal.read_bytes().count(b"\n") for journal in journals)
    monkeypatch.setattr("metrics.common.screen.LINE_SECONDS", 0)
    result = finetune(*arguments(recipe, out, *slow))
    assert result.exit_code == 0, result.output
    assert f"/{ITEMS - kept} " in result.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert not list(out.parent.glob(".captions*"))
