"""`run`: from nothing to a report in one command, in real processes; killed or repeated, it resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import places
import psutil
import pytest
from tiny import finetune, lines
from tiny_models import write_recipe
from training_processes import end, finished, kill_all, start

from finetune.runs.processes import locked
from metrics.common.errors import UserError
from metrics.common.measure_names import ORDER

pytestmark = [pytest.mark.java, pytest.mark.processes, pytest.mark.slow]

SYSTEMS = [
    "sibling's caption",
    "category's most frequent caption",
    "nearest photo's caption (vision tower of base)",
    "consensus of the 10 nearest items' captions (vision tower of base)",
    "fine-tuned, photos shuffled",
    "pretrained",
    "fine-tuned",
]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    tune = {"language": "lora", "connector": "full"}
    return write_recipe(tmp_path, tune=tune, training={"epochs": 3}, decoding={"max_new_tokens": 20})


def report(recipe: Path) -> dict[str, Any]:
    return dict(json.loads((recipe.parent / "run" / "report" / "report.json").read_text()))


def test_one_command_makes_the_report_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder with packages of our packages' names, which must not be imported in place of them."""
    stanza = places.STANZA
    scoring = {"classifier": {"tiny": True, "epochs": 1}, "stanza": str(stanza)}
    decoding = {"max_new_tokens": 20}
    recipe = write_recipe(tmp_path, training={"epochs": 1}, decoding=decoding, scoring=scoring)
    for name in ("finetune", "metrics"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('{name} of the user')")
    command = [sys.executable, "-P", "-m", "finetune", "run", recipe.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "%|" not in done.stderr and "\r" not in done.stderr  # no bar in a log, the libraries' neither
    made = report(recipe)
    assert made["measures"] == [name for name in ORDER if name not in ("SPICE", "CLIPScore", "RefCLIPScore")]
    assert made["absent"] == {"SPICE": "not installed, run `lookbook install-spice`"}
    assert [system["name"] for system in made["systems"]] == SYSTEMS
    assert made["systems"][0]["findings"]["copied"]["rates"]["all"]["rate"] == 1
    assert (recipe.parent / "run" / "report" / "report.html").is_file()
    assert (recipe.parent / "run" / "model" / "adapter_model.safetensors").is_file()
    filled = lines(recipe.parent / "run" / "filled" / "captions.jsonl")
    table = (recipe.parent / "run" / "filled" / "articles.csv").read_text(encoding="utf-8")
    assert filled and all(row["split"] == "undescribed" and row["id"] in table for row in filled)
    assert (recipe.parent / "run" / "filled" / "contact-sheet.html").is_file()
    before = {path: path.stat().st_mtime_ns for path in (recipe.parent / "run" / "model").iterdir()}
    monkeypatch.setattr("metrics.common.screen.LINE_SECONDS", 0)
    again = finetune("run", recipe)
    assert again.exit_code == 0, again.output
    assert "captioning" not in again.output
    assert {path: path.stat().st_mtime_ns for path in (recipe.parent / "run" / "model").iterdir()} == before
    assert report(recipe)["systems"] == made["systems"]


def test_terminated_it_leaves_no_process_and_no_lock(recipe: Path) -> None:
    process = start("run", str(recipe), log=recipe.parent / "log")
    while not (recipe.parent / "run" / "checkpoints").is_dir():
        assert process.is_alive(), "it ended before it was terminated"
        time.sleep(0.01)
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.terminate()
    assert end([process], 30) == [128 + signal.SIGTERM]
    assert psutil.wait_procs(started, 30)[1] == []
    with (
        locked(recipe.parent / "run"),
        pytest.raises(UserError, match=rf"another training or run is using this folder: process {os.getpid()} \("),
        locked(recipe.parent / "run"),
    ):
        pass


def test_killed_in_training_it_resumes_from_the_checkpoint(recipe: Path) -> None:
    checkpoints = recipe.parent / "run" / "checkpoints"
    log = recipe.parent / "log"
    process = start("run", str(recipe), "training.epochs=8", log=log)
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.01)
    kill_all([process])
    assert not (recipe.parent / "run" / "training.json").exists()
    finished("run", str(recipe), "training.epochs=8", log=log)
    training = json.loads((recipe.parent / "run" / "training.json").read_text())
    epochs = [entry["epoch"] for entry in training["loss_history"] if "eval_loss" in entry]
    assert epochs == sorted(set(epochs))
    assert epochs[0] == 1
    assert [system["name"] for system in report(recipe)["systems"]] == SYSTEMS
