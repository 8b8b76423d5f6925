"""`sweep`: real runs of a recipe's combinations; killed, it resumes; a table of their results."""

import json
import time
from pathlib import Path
from typing import Any

import places
import pytest
import yaml
from tiny import finetune, lines
from tiny_models import write_recipe
from training_processes import finished, kill_all, start
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from finetune.config.experiments import load_sweep
from finetune.experiments.sweep_cells import plan

SWEEPS = places.RECIPES / "sweeps"
VARY = {"training.learning_rate": ["1e-9", "3e-3"]}
EVALUATION = "evaluation={captions: 5, measures: [CIDEr, BLEU-4]}"


def write_sweep(root: Path, **values: Any) -> Path:
    path = root / "search.yaml"
    defaults = {"recipe": str(root / "run.yaml"), "output": str(root / "search"), "vary": VARY, "set": [EVALUATION]}
    path.write_text(yaml.safe_dump(defaults | values))
    return path


def refused(path: Path, *arguments: str) -> str:
    result = finetune("sweep", path, *arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "Traceback" not in result.output
    return result.stderr


def state(folder: Path) -> dict[str, int]:
    """Every file with the time it was written."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int], str]:
    """A sweep of two cells, killed in the second one's training and started again.

    The sweep, the first cell's files as they were at the kill, and what was printed afterwards.
    """
    root = tmp_path_factory.mktemp("sweep")
    write_recipe(root, training={"epochs": 8, "patience": 9}, decoding={"max_new_tokens": 6})
    path = write_sweep(root)
    cache = str(root / "cache")
    process = start("sweep", str(path), log=root / "killed.log", LOOKBOOK_CACHE=cache)
    second = root / "search" / "learning_rate-3e-3"
    while not list((second / "checkpoints").glob("checkpoint-*/trainer_state.json")):
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.01)
    kill_all([process])
    assert not (second / "training.json").exists()
    table = json.loads((root / "search" / "sweep.json").read_text())
    assert [cell["state"] for cell in table["cells"]] == ["finished", "waiting"]
    first_files = state(root / "search" / "learning_rate-1e-9")
    return path, first_files, finished("sweep", str(path), log=root / "resumed.log", LOOKBOOK_CACHE=cache)


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_killed_and_started_again_it_repeats_nothing(resumed: tuple[Path, dict[str, int], str]) -> None:
    path, first_files, printed = resumed
    assert "[1/2] training.learning_rate=1e-9: finished already" in printed
    assert state(path.parent / "search" / "learning_rate-1e-9") == first_files
    record = json.loads((path.parent / "search" / "learning_rate-3e-3" / "training.json").read_text())
    epochs = [entry["epoch"] for entry in record["loss_history"] if "eval_loss" in entry]
    assert epochs == sorted(set(epochs))
    assert record["recipe"]["training"]["learning_rate"] == 3e-3


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_the_table_has_the_best_first(resumed: tuple[Path, dict[str, int], str]) -> None:
    path, _, printed = resumed
    table = json.loads((path.parent / "search" / "sweep.json").read_text())
    better, worse = table["cells"]
    assert (better["values"], worse["values"]) == (
        {"training.learning_rate": "3e-3"},
        {"training.learning_rate": "1e-9"},
    )
    assert better["validation_loss"] < worse["validation_loss"]
    for cell in (better, worse):
        record = json.loads((Path(cell["output"]) / "training.json").read_text())
        best = [one for one in record["loss_history"] if one.get("step") == cell["step"] and "eval_loss" in one]
        assert cell["validation_loss"] == best[0]["eval_loss"] == record["best_validation_loss"]
        assert cell["validation"] == {"BLEU-4": best[0]["eval_bleu-4"], "CIDEr": best[0]["eval_cider"]}
        assert len(lines(Path(cell["output"]) / "evaluation" / f"step-{cell['step']:06d}.jsonl")) == 5
    text = (path.parent / "search" / "sweep.md").read_text().splitlines()
    rows = [line.split(" | ") for line in text if line.startswith("|")]
    assert rows[0][:2] == ["| learning\\_rate", "validation loss"]
    assert rows[2][:2] == ["| 3e-3", f"{better['validation_loss']:.4f}"]
    assert any(line.startswith("- validation CIDEr: `CIDEr-D|") for line in text)
    assert f"{better['validation_loss']:.4f}" in printed


@pytest.mark.java
@pytest.mark.processes
@pytest.mark.slow
def test_wandb_agents_run_single_cells_of_it(resumed: tuple[Path, dict[str, int], str]) -> None:
    """What `wandb sweep` is given: its own agent's arguments choose the one cell, which is finished already."""
    path, first_files, _ = resumed
    tracked = path.with_name("tracked.yaml")
    tracked.write_text(
        yaml.safe_dump(yaml.safe_load(path.read_text()) | {"set": [EVALUATION, "training.tracker=wandb"]})
    )
    result = finetune("sweep", tracked, "--wandb")
    assert result.exit_code == 0, result.output
    definition = yaml.safe_load(result.stdout)
    assert definition["method"] == "grid"
    assert definition["metric"] == {"name": "eval/loss", "goal": "minimize"}
    assert definition["parameters"] == {"training.learning_rate": {"values": ["1e-9", "3e-3"]}}
    assert definition["command"][2:] == ["-P", "-m", "finetune", "sweep", str(tracked), "${args_no_hyphens}"]
    arguments = create_sweep_command_args({"args": {"training.learning_rate": {"value": "1e-9"}}})["args_no_hyphens"]
    one = finetune("sweep", path, *arguments)
    assert one.exit_code == 0, one.output
    assert one.stdout.startswith("[1/1] training.learning_rate=1e-9: finished already")
    assert state(path.parent / "search" / "learning_rate-1e-9") == first_files
    assert "its cells report to none" in refused(path, "--wandb")
    assert "no cell of the sweep has training.learning_rate=7; it varies training.learning_rate" in (
        refused(path, "training.learning_rate=7")
    )


@pytest.mark.processes
@pytest.mark.slow
def test_a_cell_that_fails_is_named_and_the_others_run(tmp_path: Path) -> None:
    """Both fail when their catalogue is read, which cannot be seen before."""
    write_recipe(tmp_path)
    path = write_sweep(tmp_path, vary={"data.max_caption_words": [1, 2]})
    printed = finished("sweep", str(path), log=tmp_path / "log", code=2)
    assert "error: 2 cell(s) failed, the first is data.max_caption_words=1" in printed
    assert f"[2/2] data.max_caption_words=2: {tmp_path / 'run.yaml'} into" in printed
    assert "Traceback" not in printed
    table = (tmp_path / "search" / "sweep.md").read_text()
    assert table.count("| failed |") == 2
    assert "training ended with code 2" in table


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ({"vari": {}, "whole": "perhaps"}, ["vari: unknown key; did you mean 'vary'?", "whole: ", "2 error(s)"]),
        ({"vary": {}}, ["vary: "]),
        ({"vary": {"training.seed": []}}, ["vary.training.seed: "]),
        ({"vary": {"training.seed": 1}}, ["vary.training.seed: expected a list, found 1", "1 error(s)"]),
        ({"vary": {"output": ["x"]}}, ["vary: output: each cell has a folder of its own"]),
        (
            {"vary": {"training.learning_rat": [1], "lora.rank": [0, 1]}},
            ["did you mean 'learning_rate'", "lora.rank: ", "2 error(s) in its cells"],
        ),
        ({"vary": {"training.seed": [1, 1]}}, ["two cells have the folder", "is a value there twice?"]),
        ({"vary": {"training.batch_size": [8, 9, 15]}}, ["9 is no multiple", "15 is no multiple", "2 error(s)"]),
        ({"recipe": "recipes/nothing.yaml"}, ["recipes/nothing.yaml: no such recipe", "1 error(s)"]),
        ({"set": ["evaluation.best=CIDEr"]}, ["evaluation.best: expected loss", "(and 1 more)"]),
    ],
)
def test_a_wrong_sweep_is_refused_whole(tmp_path: Path, values: dict[str, Any], messages: list[str]) -> None:
    write_recipe(tmp_path)
    message = refused(write_sweep(tmp_path, **values))
    assert [one for one in messages if one not in message] == []
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_sweeps_that_come_along_can_be_planned(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SWEEPS.parent.parent)
    monkeypatch.setenv("HM_DIR", "data")
    sweep = load_sweep(path)
    cells = plan(sweep, path.name)
    assert len({cell.recipe.output for cell in cells}) == len(cells) > 1
    assert f"recipes/sweeps/{path.name}" in path.read_text().split("recipe:")[0]


def test_the_published_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SWEEPS.parent.parent)
    monkeypatch.setenv("HM_DIR", "data")
    cells = plan(load_sweep(SWEEPS / "published-grid.yaml"), "published-grid")
    searched = {
        (cell.recipe.training.learning_rate, cell.recipe.training.batch_size, cell.recipe.lora.modules)
        for cell in cells
    }
    rates, batches, modules = (1e-5, 5e-5, 1e-4, 5e-4), (16, 32), ("query-value", "all-linear")
    assert searched == {(rate, batch, one) for rate in rates for batch in batches for one in modules}
