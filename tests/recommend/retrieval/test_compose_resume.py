"""An interrupted `compose-train` is resumed by the same command, to the very weights and figures."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from composing import write_recipe
from recommending import done, recommend, refused_by
from tiny_encoders import resnet

from finetune.data.demo import fashion_iq as demo
from recommend.retrieval.composer import Composer

EPOCHS, STEPS = 3, 7  # 60 pairs in batches of 8, of which the last one is left out


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn dresses, a tiny ResNet, and a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("resumed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "CATEGORIES", {"dress": "Dress"})
        patch.setattr(demo, "SIZE", (24, 36))
        patch.setattr(demo, "SHARES", {"train": 1.0, "val": 1.0, "test": 0.0})
        demo.write_fashion_iq_demo(folder / "data", 20, 0)
    resnet(folder / "resnet")
    done("compose-train", recipe(folder, folder / "whole"))
    return folder


def recipe(shop: Path, output: Path) -> Path:
    training = {"epochs": EPOCHS, "batch_size": 8, "schedule": "linear", "learning_rate": 0.01}
    path = output.with_suffix(".yaml")
    return write_recipe(path, shop / "data", str(shop / "resnet"), training=training, model={"dropout": 0.3})


def interrupted(patch: pytest.MonkeyPatch, path: Path, step: int, number: int = signal.SIGTERM) -> Any:
    """Run the command, and send ourselves the signal in a step of its training."""
    steps, forward = 0, Composer.forward

    def signalled(composer: Composer, *arguments: Any, **inputs: Any) -> Any:
        nonlocal steps
        steps += composer.training
        if steps == step and composer.training:
            os.kill(os.getpid(), number)
        return forward(composer, *arguments, **inputs)

    with patch.context() as within:
        within.setattr(Composer, "forward", signalled)
        return recommend("compose-train", path)


def assert_same(one: Path, other: Path) -> None:
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    for name, keys in (
        ("composed-retrieval.json", ("parts", "notes")),
        ("training.json", ("loss_history", "validation")),
    ):
        ours, theirs = (json.loads((run / name).read_text(encoding="utf-8")) for run in (one, other))
        assert [ours[key] for key in keys] == [theirs[key] for key in keys]
    assert not (one / "checkpoints").exists()


@pytest.mark.parametrize("step", [STEPS, 2 * STEPS + 2])
def test_the_same_command_resumes_to_the_same_weights(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At the end of an epoch, and in the middle of the last."""
    path = recipe(shop, tmp_path / "run")
    result = interrupted(monkeypatch, path, step)
    assert result.exit_code == 128 + signal.SIGTERM, result.output
    assert f"SIGTERM: stopped after step {step}; its checkpoint is in " in result.stderr
    assert "give the same command again" in result.stderr
    assert (tmp_path / "run" / "checkpoints" / f"checkpoint-{step}" / "optimizer.pt").is_file()
    printed = done("compose-train", path)
    assert printed.count("epoch ") == EPOCHS - step // STEPS
    assert_same(tmp_path / "run", shop / "whole")


def test_checkpoints_of_weights_alone_and_damaged_ones(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe(shop, tmp_path / "run")
    assert interrupted(monkeypatch, path, STEPS + 1, signal.SIGINT).exit_code == 128 + signal.SIGINT
    checkpoint = tmp_path / "run" / "checkpoints" / f"checkpoint-{STEPS + 1}"
    whole = (checkpoint / "optimizer.pt").read_bytes()
    (checkpoint / "optimizer.pt").write_bytes(whole[: len(whole) // 2])
    assert f"{checkpoint}: does not load: " in refused_by("compose-train", path)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):  # earlier versions wrote none of these
        (checkpoint / name).unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / f"checkpoint-{STEPS}")
    assert "of an earlier version, which could not resume" in done("compose-train", path)
    assert_same(tmp_path / "run", shop / "whole")
