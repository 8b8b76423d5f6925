"""`run`: from nothing to a report in one command, under a real `accelerate launch`; killed or repeated, it resumes."""

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
from tiny_models import write_recipe

from finetune.runs.processes import locked
from metrics.common.errors import UserError
from metrics.common.measure_names import ORDER

SYSTEMS = [
    "sibling's caption",
    "category's most frequent caption",
    "fine-tuned, photos shuffled",
    "pretrained",
    "fine-tuned",
]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    tune = {"language": "lora", "connector": "full"}
    return write_recipe(tmp_path, tune=tune, training={"epochs": 3}, decoding={"max_new_tokens": 20})


def command(recipe: Path) -> list[str]:
    return [sys.executable, "-m", "finetune", "run", str(recipe)]


def finish(recipe: Path) -> str:
    done = subprocess.run(command(recipe), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def report(recipe: Path) -> dict[str, Any]:
    return dict(json.loads((recipe.parent / "run" / "report" / "report.json").read_text()))


def test_one_command_makes_the_report_and_repeats_nothing(tmp_path: Path) -> None:
    stanza = places.STANZA
    scoring = {"classifier": {"tiny": True, "epochs": 1}, "stanza": str(stanza)}
    decoding = {"max_new_tokens": 20}
    recipe = write_recipe(tmp_path, training={"epochs": 3}, decoding=decoding, scoring=scoring, data={"limit": 60})
    finish(recipe)
    made = report(recipe)
    assert made["measures"] == [name for name in ORDER if name != "SPICE"]
    assert made["absent"] == {"SPICE": "not installed, run `lookbook install-spice`"}
    assert [system["name"] for system in made["systems"]] == SYSTEMS
    assert (recipe.parent / "run" / "report" / "report.html").is_file()
    assert (recipe.parent / "run" / "model" / "adapter_model.safetensors").is_file()
    before = {path: path.stat().st_mtime_ns for path in (recipe.parent / "run" / "model").iterdir()}
    again = finish(recipe)
    assert "captioning" not in again
    assert {path: path.stat().st_mtime_ns for path in (recipe.parent / "run" / "model").iterdir()} == before
    assert report(recipe)["systems"] == made["systems"]


def test_packages_of_the_same_names_in_the_current_folder_are_not_imported(recipe: Path) -> None:
    for name in ("finetune", "metrics"):
        (recipe.parent / name).mkdir()
        (recipe.parent / name / "__init__.py").write_text(f"raise ImportError('{name} of the user')")
    command = [sys.executable, "-P", "-m", "finetune", "run", recipe.name, "training.epochs=1"]
    done = subprocess.run(command, cwd=recipe.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [system["name"] for system in report(recipe)["systems"]] == SYSTEMS


def test_terminated_it_leaves_no_process_and_no_lock(recipe: Path) -> None:
    process = subprocess.Popen(command(recipe), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (recipe.parent / "run" / "checkpoints").is_dir():
        assert process.poll() is None, "it ended before it was terminated"
        time.sleep(0.01)
    started = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert psutil.wait_procs(started, 30)[1] == []
    with (
        locked(recipe.parent / "run"),
        pytest.raises(UserError, match="another training or run is using this folder"),
        locked(recipe.parent / "run"),
    ):
        pass


def test_killed_in_training_it_resumes_from_the_checkpoint(recipe: Path) -> None:
    checkpoints = recipe.parent / "run" / "checkpoints"
    process = subprocess.Popen(
        [*command(recipe), "training.epochs=8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (recipe.parent / "run" / "training.json").exists()
    done = subprocess.run([*command(recipe), "training.epochs=8"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    training = json.loads((recipe.parent / "run" / "training.json").read_text())
    epochs = [entry["epoch"] for entry in training["loss_history"] if "eval_loss" in entry]
    assert epochs == sorted(set(epochs))
    assert epochs[0] == 1
    assert [system["name"] for system in report(recipe)["systems"]] == SYSTEMS
