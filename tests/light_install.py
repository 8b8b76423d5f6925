"""What must hold if only the wheel and the base install are there. `make light` runs this; pytest does not collect it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from caption_files import reference, row, write_system
from places import ROOT

import finetune
import metrics

COUNT = 10


def lookbook(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lookbook")), *map(str, arguments)]
    env = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_it_is_the_wheel_that_is_tested_without_torch() -> None:
    for package in (finetune, metrics):
        assert Path(str(package.__file__)).is_relative_to(sys.prefix)
    assert importlib.util.find_spec("torch") is None


def test_the_console_command_has_all_commands(tmp_path: Path) -> None:
    done = lookbook("--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(f" {verb} " in done.stdout for verb in ("score", "compare", "train", "recipe"))
    assert lookbook("--version", cwd=tmp_path).stdout.startswith("lookbook 0.")


def test_recipes_come_with_the_wheel(tmp_path: Path) -> None:
    listed = {line.split()[0] for line in lookbook("recipe", cwd=tmp_path).stdout.splitlines()}
    assert listed == {
        str(path.relative_to(ROOT / "recipes").with_suffix("")) for path in ROOT.glob("recipes/**/*.yaml")
    }
    assert lookbook("recipe", "demo", cwd=tmp_path).returncode == 0
    assert (tmp_path / "recipes" / "demo.yaml").read_bytes() == (ROOT / "recipes" / "demo.yaml").read_bytes()


def test_captions_are_scored(tmp_path: Path) -> None:
    rows = [row(number, reference(number), reference(number)) for number in range(COUNT)]
    captions = write_system(tmp_path / "mine", rows, system="mine")
    out = tmp_path / "scores"
    done = lookbook("score", captions, "--out", out, "--measure", "BLEU-4", "--measure", "CIDEr", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "100.0" in done.stdout
    assert {path.name for path in out.iterdir()} >= {"report.html", "report.md", "report.json", "items.jsonl"}


@pytest.mark.parametrize(
    "command", [["train", "recipes/demo.yaml"], ["run", "recipes/demo.yaml"], ["caption", "a.jpg"]]
)
def test_training_names_the_extra_to_install(command: list[str], tmp_path: Path) -> None:
    lookbook("recipe", "demo", cwd=tmp_path)
    done = lookbook(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install '.[train]'" in done.stderr
    assert "Traceback" not in done.stderr
