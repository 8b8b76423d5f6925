"""The same global batches give the same training, however many processes and micro-batches they are spread over."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import places
import pytest
import torch
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny_models import write_recipe
from training_processes import end, start_two
from typer.testing import CliRunner

from finetune.__main__ import app
from finetune.training.sampling import Place, TrainingOrder

CONFIGURATIONS = sorted((places.RECIPES / "accelerate").glob("*.yaml"))


def recipe(root: Path, name: str, micro: int) -> Path:
    """21 items in batches of 8: the last step has 5, too few for two processes of 4 to share in full."""
    return write_recipe(
        root,
        name,
        data={"limit": 21},
        tune={"vision": "lora", "connector": "full"},
        lora={"dropout": 0},
        augmentation={"flip": 0.5, "crop": 0.3},
        training={"micro_batch_size": micro, "learning_rates": {"connector": 1e-3}, "weight_decay": 0.1},
    )


def result(path: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    history = json.loads((path.with_suffix("") / "training.json").read_text())["loss_history"]
    weights = load_file(path.with_suffix("") / "model" / "adapter_model.safetensors")
    return [entry.get("loss", entry.get("eval_loss")) for entry in history], weights


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devices")


def train(path: Path) -> Path:
    done = CliRunner().invoke(app, ["train", str(path)])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="module")
def one_by_eight(root: Path) -> Path:
    """One process, one micro-batch."""
    return train(recipe(root, "one-by-eight", 8))


def assert_same(one: Path, other: Path) -> None:
    (losses, weights), (expected, expected_weights) = result(one), result(other)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert weights.keys() == expected_weights.keys()
    for name, tensor in expected_weights.items():
        assert torch.allclose(weights[name], tensor, atol=2e-5), name


@pytest.mark.slow
def test_eight_micro_batches_of_one_train_as_one_of_eight(root: Path, one_by_eight: Path) -> None:
    assert_same(train(recipe(root, "eight-by-one", 1)), one_by_eight)


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("ddp", {}),
        ("fsdp2", {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_RESHARD_AFTER_FORWARD": "true"}),
    ],
)
def test_two_processes_train_as_one(root: Path, one_by_eight: Path, name: str, environment: dict[str, str]) -> None:
    """FSDP2 with the options of recipes/accelerate/fsdp2.yaml; its saved adapter is whole, and so is its checkpoint."""
    options = yaml.safe_load(CONFIGURATIONS[0].with_name("fsdp2.yaml").read_text())["fsdp_config"]
    wrapping = {key.upper(): str(options[key]) for key in ("fsdp_auto_wrap_policy", "fsdp_state_dict_type")}
    path = recipe(root, name, 4)
    log = path.with_suffix(".log")
    codes = end(start_two("train", str(path), log=log, **environment, **wrapping))
    assert codes == [0, 0], log.read_text()[-3000:]
    assert_same(path, one_by_eight)
    whole = (path.with_suffix("") / "checkpoints").glob("*/pytorch_model_fsdp.bin")
    assert bool(list(whole)) == (name == "fsdp2")
    (path.with_suffix("") / "training.json").unlink()
    codes = end(start_two("train", str(path), "--resume", log=log, **environment, **wrapping))
    assert codes == [0, 0], log.read_text()[-3000:]
    assert_same(path, one_by_eight)


@pytest.mark.processes
def test_a_port_in_use_is_one_message(root: Path) -> None:
    path = recipe(root, "no-port", 4)
    log = path.with_suffix(".log")
    with socket.socket() as held:
        held.bind(("", 0))
        held.listen()
        port = str(held.getsockname()[1])
        first, second = start_two("train", str(path), log=log, MASTER_PORT=port)
        second.kill()
        assert end([first]) == [2], log.read_text()
    assert f"127.0.0.1:{port}: the processes cannot connect to each other" in log.read_text()
    assert "--main_process_port 0" in log.read_text()
    assert "Traceback" not in log.read_text()


orders = st.tuples(*(st.integers(1, upper) for upper in (60, 4, 4, 4)), st.integers(0, 5))


@given(orders)
def test_every_item_once_an_epoch_and_the_same_steps_on_any_number_of_processes(drawn: Any) -> None:
    items, micro, processes, accumulated, epoch = drawn
    batch = micro * processes * accumulated
    alone = TrainingOrder(items, batch, batch, 42)
    shared = [TrainingOrder(items, batch, micro, 42, processes, process) for process in range(processes)]
    for order in (alone, *shared):
        order.set_epoch(epoch)
    assert sorted(place.row for rows in alone for place in rows) == list(range(items))
    assert len({len(list(order)) for order in shared}) == 1, "each process has as many micro-batches as another"
    assert all(len(list(order)) == len(order) for order in shared)
    turns = [iter(order) for order in shared]
    for step, whole in enumerate(alone):
        found = list(_step(turns, accumulated if len(whole) == batch else -(-len(whole) // (micro * processes))))
        assert sorted(place.row for place in found if not place.idle) == sorted(place.row for place in whole)
        assert [place.row for place in whole] == alone.rows_of(epoch * alone.steps + step)


def _step(turns: list[Iterator[list[Place]]], accumulated: int) -> Iterator[Place]:
    for _ in range(accumulated):
        for turn in turns:
            yield from next(turn)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_accelerate_takes_its_configuration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = launch_command_parser()
    args = parser.parse_args(["--config_file", str(path), "--num_processes", "2", "-m", "finetune", "train", "x.yaml"])
    args, *_ = _validate_launch_command(args)
    assert args.mixed_precision == "no"
    assert (args.use_fsdp, args.use_deepspeed) == (path.stem == "fsdp2", path.stem.startswith("zero"))
    assert not path.stem.startswith("zero") or args.zero_stage == int(path.stem[-1])
    assert args.use_cpu == (path.stem == "cpu")
    head = path.read_text().split("\ncompute_environment")[0]
    assert f"accelerate launch --config_file recipes/accelerate/{path.name} -m finetune train recipes/" in head


def test_all_five_ways_are_there() -> None:
    assert [path.stem for path in CONFIGURATIONS] == ["cpu", "ddp", "fsdp2", "one-gpu", "zero2", "zero3"]


@pytest.mark.processes
@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_deepspeed_trains_where_it_is_installed(stage: str, tmp_path: Path) -> None:
    pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")
    if not torch.cuda.is_available():
        pytest.skip("without a GPU accelerate takes DDP in DeepSpeed's place")
    path = recipe(tmp_path, "run", 4)
    configuration = CONFIGURATIONS[0].with_name(f"{stage}.yaml")
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", str(configuration)]
    command = [*launch, "--num_processes", "1", "-m", "finetune", "train", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (path.with_suffix("") / "model" / "adapter_model.safetensors").is_file()
