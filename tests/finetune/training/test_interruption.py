"""A training that is killed or terminated at any moment resumes to the very weights of one that was not."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import torch
from safetensors.torch import load_file
from tiny import finetune
from tiny_models import write_recipe
from training_processes import CONTEXT, end, start, start_launched, start_run_on_two, start_two

from finetune.training.interruption import PASSED_ON, Interruption
from finetune.training.trainer import CaptionTrainer

KILLS = int(os.environ.get("LOOKBOOK_KILLS", "3"))
EPOCHS = 2 + KILLS // 2  # enough to get on between them
ENDLESS = ("training.epochs=500", "training.patience=500", "training.workers=0")
Start = Callable[..., list[BaseProcess]]


def alone(*arguments: str, log: Path) -> list[BaseProcess]:
    return [start(*arguments, log=log)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interruption")


@pytest.fixture(scope="module", params=[alone, start_two])
def begin(request: pytest.FixtureRequest) -> Start:
    """How a training is started: in one process or in two."""
    return cast(Start, request.param)


@pytest.fixture(scope="module")
def whole(root: Path, begin: Start) -> Path:
    """A run that nothing interrupted."""
    path = recipe(root, begin, "whole")
    finish(begin, path)
    return path


def recipe(root: Path, begin: Start, name: str) -> Path:
    """A run in which everything is random that can be: order, photos in worker processes, dropout, early stopping."""
    workers = int(begin is alone)
    return write_recipe(
        root,
        f"{begin.__name__}-{name}",
        data={"articles": 150, "limit": 20},
        model={"tiny": {"image_size": 32, "hidden_size": 32, "layers": 1, "queries": 4, "vocabulary": 400}},
        tune={"vision": "lora", "connector": "full", "language": "lora"},
        augmentation={"flip": 0.5, "crop": 0.3},
        evaluation={"every": 4},
        training={"epochs": EPOCHS, "micro_batch_size": 2, "batch_size": 4, "workers": workers, "patience": 9},
    )


def finish(begin: Start, path: Path) -> None:
    log = path.with_suffix(".log")
    codes = end(begin("train", str(path), "--resume", log=log))
    assert set(codes) == {0}, log.read_text()[-3000:]


def result(path: Path) -> tuple[dict[str, torch.Tensor], Any]:
    record = json.loads((path.with_suffix("") / "training.json").read_text())
    return load_file(path.with_suffix("") / "model" / "adapter_model.safetensors"), [
        record[key] for key in ("loss_history", "best_validation_loss", "best_step")
    ]


def assert_same(one: Path, other: Path) -> None:
    (weights, record), (expected, expected_record) = result(one), result(other)
    assert record == expected_record
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def newest(checkpoints: Path) -> int:
    return max((int(path.name.partition("-")[2]) for path in checkpoints.glob("checkpoint-*")), default=0)


def kill(processes: list[BaseProcess], checkpoints: Path, rng: random.Random, *, writing: bool) -> None:
    """SIGKILL in the middle of writing a checkpoint, or some time after one was written."""
    before = newest(checkpoints)
    while all(process.is_alive() for process in processes):
        if writing and any((checkpoints / ".writing").glob("checkpoint-*/*")):
            break
        if not writing and newest(checkpoints) > before:
            time.sleep(rng.uniform(0, 0.3))
            break
        time.sleep(0.0005)
    for process in processes:
        process.kill()
    end(processes)


@pytest.mark.processes
@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_weights(root: Path, begin: Start, whole: Path) -> None:
    broken = recipe(root, begin, "killed")
    rng = random.Random(7)  # noqa: S311
    checkpoints = broken.with_suffix("") / "checkpoints"
    for number in range(KILLS):
        processes = begin("train", str(broken), "--resume", log=broken.with_suffix(".log"))
        kill(processes, checkpoints, rng, writing=number % 2 == 0)
    assert not (broken.with_suffix("") / "training.json").exists(), "it ended before it was killed"
    finish(begin, broken)
    assert_same(broken, whole)


@pytest.mark.processes
@pytest.mark.slow
def test_terminated_it_saves_and_says_how_to_resume(root: Path, begin: Start, whole: Path) -> None:
    """By a signal in the middle of an epoch and between validations, to one of the processes."""
    terminated = recipe(root, begin, "terminated")
    checkpoints, log = terminated.with_suffix("") / "checkpoints", terminated.with_suffix(".log")
    processes = begin("train", str(terminated), log=log)
    while not newest(checkpoints):
        assert all(process.is_alive() for process in processes), log.read_text()
        time.sleep(0.001)
    number = signal.SIGINT if begin is alone else signal.SIGTERM
    os.kill(processes[-1].pid or 0, number)
    assert end(processes) == [128 + number] * len(processes), log.read_text()
    said = log.read_text()
    assert f"{number.name}: stopped after step {newest(checkpoints)}" in said
    assert "--resume" in said
    assert "Traceback" not in said
    kept = json.loads((checkpoints / f"checkpoint-{newest(checkpoints)}" / "trainer_state.json").read_text())
    assert kept["stateful_callbacks"]["unlogged_loss"]["last_logged_step"] < newest(checkpoints)
    finish(begin, terminated)
    assert_same(terminated, whole)


def ended_by_itself(started: list[psutil.Process], path: Path) -> bool:
    """Whether these processes end after SIGTERM, with a checkpoint of the step at which they stop."""
    alive = psutil.wait_procs(started, 60)[1]
    last = newest(path.with_suffix("") / "checkpoints")
    return alive == [] and f"SIGTERM: stopped after step {last}" in path.with_suffix(".log").read_text()


def trains(process: BaseProcess, path: Path) -> list[psutil.Process]:
    """The processes below this one, once their training has written a checkpoint."""
    while not newest(path.with_suffix("") / "checkpoints"):
        assert process.is_alive(), path.with_suffix(".log").read_text()
        time.sleep(0.001)
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.processes
@pytest.mark.slow
def test_a_killed_launcher_ends_the_training_too(root: Path) -> None:
    """`accelerate launch` of one process passes no signal on; the training sees that its launcher is gone."""
    path = recipe(root, alone, "launched")
    launcher = start_launched("train", str(path), *ENDLESS, log=path.with_suffix(".log"))
    below = trains(launcher, path)
    assert len(below) == 1
    launcher.kill()
    assert ended_by_itself(below, path)


@pytest.mark.processes
@pytest.mark.slow
def test_a_killed_run_ends_the_training_below_its_launcher_too(root: Path) -> None:
    """`run` is killed, `accelerate launch` lives on: its two processes see that `run` is gone."""
    path = recipe(root, start_two, "run-killed")
    run = start_run_on_two(path, *ENDLESS, log=path.with_suffix(".log"))
    below = trains(run, path)
    assert len(below) == 1 + 2
    run.kill()
    assert ended_by_itself(below, path)


def _terminated_twice(pause: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Interruption().listening():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(pause)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.processes
@pytest.mark.parametrize(("pause", "code"), [(0, 0), (PASSED_ON + 0.1, 128 + signal.SIGTERM)])
def test_terminated_again_it_ends_at_once(pause: float, code: int) -> None:
    """What a launcher passes on, at the same moment, is not handled again."""
    process = CONTEXT.Process(target=_terminated_twice, args=(pause,))
    process.start()
    assert end([process]) == [code]


@pytest.mark.slow
def test_terminated_after_the_last_step_it_finishes_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    validate = CaptionTrainer._validation_loss

    def signalled(trainer: CaptionTrainer, data: Any) -> float:
        if trainer.state.global_step == trainer.state.max_steps:
            os.kill(os.getpid(), signal.SIGINT)
        return validate(trainer, data)

    monkeypatch.setattr(CaptionTrainer, "_validation_loss", signalled)
    path = write_recipe(tmp_path)
    result = finetune("train", path)
    assert result.exit_code == 0, result.output
    assert "SIGINT: stopping after this step" in capfd.readouterr().err
    assert "SIGINT: came after the last step; the training is finished" in result.stderr
    assert (path.with_suffix("") / "training.json").is_file()
