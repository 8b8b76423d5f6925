"""Runs that cannot continue as they are: a damaged checkpoint, damaged notes, a loss that is no number."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import finetune
from tiny_models import write_recipe

from finetune.runs.folder import PREPARED
from metrics.common.ownership import claim_folder

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A recipe whose rate is 0 in the first step and far too high in the second, and what its training said."""
    training = {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 1e30, "warmup_steps": 2}
    root = tmp_path_factory.mktemp("damage")
    path = write_recipe(root, data={"limit": 6}, training=training, evaluation={"every": 1})
    result = finetune("train", path, "--resume")
    assert result.exit_code == 2
    assert f"nothing to resume in {path.with_suffix('')}: training begins" in result.stdout
    return path, result.stderr


def checkpoint_of(path: Path) -> Path:
    (checkpoint,) = (path.with_suffix("") / "checkpoints").iterdir()
    return checkpoint


@contextmanager
def damaged(path: Path, damage: Damage) -> Iterator[None]:
    before = path.read_bytes()
    damage(path)
    try:
        yield
    finally:
        path.write_bytes(before)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def later(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"global_step": 2}))


def resumed(path: Path, *arguments: str) -> str:
    """The one message by which a resumed training is refused."""
    result = finetune("train", path, "--resume", *arguments)
    assert result.exit_code == 2, result.output
    assert "nothing to resume" not in result.output
    assert "Traceback" not in result.output
    return result.stderr


FILES = ["trainer_state.json", "rng_state.pth", "optimizer.pt", "scheduler.pt", "adapter_model.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"), [*((name, truncate) for name in FILES), *((name, Path.unlink) for name in FILES[1:])]
)
def test_a_damaged_checkpoint_is_named(diverged: tuple[Path, str], name: str, damage: Damage) -> None:
    path, _ = diverged
    checkpoint = checkpoint_of(path)
    with damaged(checkpoint / name, damage):
        said = resumed(path)
    assert f"{checkpoint}: does not load: " in said
    assert "Remove that folder" in said
    assert damage is truncate or name.replace("adapter_model", "*") in said


def test_a_checkpoint_of_another_step_is_none(diverged: tuple[Path, str]) -> None:
    path, _ = diverged
    with damaged(checkpoint_of(path) / "trainer_state.json", later):
        assert "its trainer_state.json is of step 2" in resumed(path)


def test_a_checkpoint_of_two_processes_is_no_checkpoint_of_one(diverged: tuple[Path, str]) -> None:
    path, _ = diverged
    one = checkpoint_of(path) / "rng_state.pth"
    two = [one.with_name(f"rng_state_{rank}.pth") for rank in range(2)]
    with damaged(one, Path.unlink):
        for each in two:
            each.touch()
        said = resumed(path)
        for each in two:
            each.unlink()
    assert "written by 2 processes, and this training has 1" in said


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_damaged_notes_are_named(diverged: tuple[Path, str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = diverged
    monkeypatch.setenv("WANDB_MODE", "offline")
    other = path.with_name("noted")
    claim_folder(other, PREPARED)
    (other / "evaluation").mkdir(exist_ok=True)
    for name in ("tracker.json", "evaluation/scores.json"):
        (other / name).write_text(text)
        options = ["training.tracker=wandb"] if name == "tracker.json" else ["evaluation.captions=2"]
        result = finetune("train", path, f"output={other}", *options)
        (other / name).unlink()
        assert (result.exit_code, f"{other / name}: expected a JSON object" in result.stderr) == (2, True), (
            result.output
        )
        assert "remove it" in result.stderr


@pytest.mark.slow
def test_a_diverged_training_resumes_as_its_message_says(diverged: tuple[Path, str]) -> None:
    path, said = diverged
    checkpoint = checkpoint_of(path)
    assert "at step 2: training has diverged" in said or "after step 2: training has diverged" in said
    assert f"The last checkpoint from before is {checkpoint}" in said
    assert any(line.startswith("error: ") for line in said.splitlines()), "on a line of its own"
    advice = said.rpartition("train RECIPE ")[2].split()
    assert advice == ["output=OTHER", "training.learning_rate=LOWER", "--init-from", str(checkpoint)]
    options = [part.replace("OTHER", str(path.with_name("other"))).replace("LOWER", "1e-4") for part in advice]
    result = finetune("train", path, *options)
    assert result.exit_code == 0, result.output
    record = json.loads((path.with_name("other") / "training.json").read_text())
    assert record["init_from"]["adapter"] == str(checkpoint)


@pytest.mark.slow
def test_without_a_checkpoint_the_same_output_takes_a_lower_rate(diverged: tuple[Path, str]) -> None:
    path, _ = diverged
    output = f"output={path.with_name('early')}"
    result = finetune("train", path, output, "training.warmup_steps=0", "training.max_steps=2", "evaluation.every=9")
    assert result.exit_code == 2
    assert "No checkpoint was written yet: start again with a lower training.learning_rate" in result.stderr
    lower = ["training.learning_rate=1e-4", "training.epochs=1"]
    assert finetune("train", path, output, *lower).exit_code == 0
