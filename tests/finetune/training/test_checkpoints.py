"""Checkpoints that cannot be read or written for a reason that is not theirs stay as they are."""

import json
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import finetune
from tiny_models import write_recipe
from transformers import Trainer

from finetune.training.checkpoints import last_checkpoint, remove_incomplete
from finetune.training.trainer import CaptionTrainer


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose training was asked to end in its first validation, and stopped after the next step, the fourth."""
    path = write_recipe(tmp_path_factory.mktemp("checkpoints"))
    validate = CaptionTrainer._validation_loss

    def end_us(trainer: CaptionTrainer, data: Any) -> float:
        os.kill(os.getpid(), signal.SIGTERM)
        return validate(trainer, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CaptionTrainer, "_validation_loss", end_us)
        assert finetune("train", path).exit_code == 128 + signal.SIGTERM
    return path


@pytest.fixture
def unfinished(recipe: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The recipe and its checkpoint, which the next test finds as it was."""
    run = recipe.with_suffix("")
    saved = shutil.copytree(run, tmp_path / "saved")
    yield recipe, run / "checkpoints" / "checkpoint-4"
    shutil.rmtree(run)
    saved.rename(run)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_memory_that_runs_out_while_a_checkpoint_loads_halves_the_micro_batch(
    unfinished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's own error, raised where the optimizer takes over its state."""
    path, checkpoint = unfinished
    before, load = contents(checkpoint), torch.optim.Optimizer.load_state_dict
    attempts: list[bool] = []

    def run_out(optimizer: Any, state: Any) -> None:
        if state["state"]:  # accelerate has an empty one taken over before
            attempts.append(contents(checkpoint) == before)
            if len(attempts) < 3:
                torch.empty(1 << 60)
        load(optimizer, state)

    monkeypatch.setattr(torch.optim.Optimizer, "load_state_dict", run_out)
    result = finetune("train", path, "--resume")
    assert result.exit_code == 0, result.output
    assert "out of memory with micro-batches of 8" in result.stderr
    assert "4 of 2 make the same batch" in result.stderr
    assert attempts == [True] * 3
    record = json.loads((path.with_suffix("") / "training.json").read_text())
    assert record["micro_batch_size"] == 2
    assert "train_since_resume_s" in record["times"]


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no further file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state"])
def test_too_many_open_files_are_not_taken_for_a_damaged_checkpoint(
    unfinished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    path, checkpoint = unfinished
    before, load = contents(checkpoint), getattr(Trainer, method)

    def without_handles(*arguments: Any) -> None:
        with no_more_files():
            load(*arguments)

    monkeypatch.setattr(Trainer, method, without_handles)
    result = finetune("train", path, "--resume")
    assert (result.exit_code, "too many open files" in result.stderr) == (2, True), result.output
    assert "emove" not in result.stderr
    assert contents(checkpoint) == before


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(
    unfinished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, checkpoint = unfinished

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, os.strerror(13), str(checkpoint / "optimizer.pt"))

    monkeypatch.setattr(Trainer, "_load_optimizer_and_scheduler", refuse)  # root may read any file
    result = finetune("train", path, "--resume")
    assert (result.exit_code, "optimizer.pt: Permission denied" in result.stderr) == (2, True), result.output
    assert "emove" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"PK\x03\x04" + b"x" * 200], ids=["empty", "text", "zip"])
def test_garbage_in_a_checkpoint_is_one_message(unfinished: tuple[Path, Path], name: str, content: bytes) -> None:
    path, checkpoint = unfinished
    (checkpoint / name).write_bytes(content)
    result = finetune("train", path, "--resume")
    assert (result.exit_code, f"{checkpoint}: does not load: " in result.stderr) == (2, True), result.output
    assert "Remove that folder" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
@pytest.mark.parametrize("content", [{}, {"state": {}, "param_groups": []}, "text"], ids=str)
def test_another_content_in_a_checkpoint_is_one_message(unfinished: tuple[Path, Path], name: str, content: Any) -> None:
    path, checkpoint = unfinished
    torch.save(content, checkpoint / name)
    result = finetune("train", path, "--resume")
    assert (result.exit_code, f"{checkpoint}: does not load: " in result.stderr) == (2, True), result.output
    assert "emove" not in result.stderr
    assert "move that folder elsewhere" in result.stderr


@pytest.mark.parametrize("state", ["[1]", "{}", '{"unknown": 1}'])
def test_another_content_of_the_trainers_state_is_one_message(unfinished: tuple[Path, Path], state: str) -> None:
    path, checkpoint = unfinished
    (checkpoint / "trainer_state.json").write_text(state)
    result = finetune("train", path, "--resume")
    assert (result.exit_code, f"{checkpoint}: does not load: " in result.stderr) == (2, True), result.output


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'Accelerator' object has no attribute 'foo'"),
        TypeError("load() got an unexpected keyword argument 'foo'"),
        KeyError("foo"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("method", ["_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state"])
def test_a_library_that_has_changed_costs_no_checkpoint(
    unfinished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    path, checkpoint = unfinished
    before = contents(checkpoint)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Trainer, method, fail)
    monkeypatch.setenv("LOOKBOOK_DEBUG", "1")
    result = finetune("train", path, "--resume")
    message = result.stderr.rpartition("error: ")[2]
    assert (result.exit_code, message.startswith(f"{checkpoint}: does not load: {type(error).__name__}: ")) == (2, True)
    assert "a library has changed since it was written" in message
    assert "emove" not in message
    assert "in fail" in result.stderr, "the cause"
    assert contents(checkpoint) == before


def test_finding_the_last_checkpoint_removes_nothing(tmp_path: Path) -> None:
    for name, whole in (("checkpoint-4", True), ("checkpoint-12", False), (".writing/checkpoint-16", False)):
        (tmp_path / name).mkdir(parents=True)
        if whole:
            (tmp_path / name / "trainer_state.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    assert sorted(tmp_path.rglob("*")) == before
    remove_incomplete(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-12", "checkpoint-4"]
