"""Learning rates of towers and over the steps, how long training lasts, and what ends it early."""

import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import write_recipe
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR
from transformers import get_cosine_with_min_lr_schedule_with_warmup
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from finetune.config.recipe import Training, load_recipe
from finetune.training.optimization import schedule, split_groups
from finetune.training.preflight import MINIMUM_FREE, needed_bytes

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Six items in three steps an epoch; keywords change training."""
    root = tmp_path_factory.mktemp("optimization")

    def write(name: str, **training: Any) -> Path:
        training = {"batch_size": 2, "micro_batch_size": 2} | training
        return write_recipe(root, name, data={"limit": 6}, tune={"connector": "full"}, training=training)

    return write


def train(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", str(path), *arguments])


def history(path: Path) -> list[dict[str, float]]:
    return list(json.loads((path.with_suffix("") / "training.json").read_text())["loss_history"])


def rates(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> Iterator[list[float]]:
    for _ in range(steps):
        yield [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        scheduler.step()


def weight() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(1))


def test_the_published_rate_swings_as_torchs_does() -> None:
    """The published code: CosineAnnealingLR(T_max=500, eta_min=1e-6), stepped once an optimizer step."""
    ours, theirs = SGD([weight()], lr=1e-4), SGD([weight()], lr=1e-4)
    found = rates(ours, schedule(ours, Training(cosine_steps=500), 2500), 2500)
    expected = rates(theirs, CosineAnnealingLR(theirs, T_max=500, eta_min=1e-6), 2500)
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one == pytest.approx(other, rel=1e-6), step


def test_by_default_one_cosine_falls_over_the_run() -> None:
    ours, theirs = SGD([weight()], lr=1e-4), SGD([weight()], lr=1e-4)
    found = rates(ours, schedule(ours, Training(warmup_steps=10), 100), 100)
    known = get_cosine_with_min_lr_schedule_with_warmup(theirs, 10, 100, min_lr=1e-6)
    for one, other in zip(found, rates(theirs, known, 100), strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_each_tower_has_its_rate_and_both_end_at_the_minimum() -> None:
    one, two, three = weight(), weight(), weight()
    groups = [{"params": [one, two], "weight_decay": 0.1}, {"params": [three], "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=1e-3)
    split_groups(optimizer, {id(two): 1e-2, id(three): 1e-2})
    found = [(group["params"], group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert found == [([one], 1e-3, 0.1), ([two], 1e-2, 0.1), ([three], 1e-2, 0.0)]
    *_, last = rates(optimizer, schedule(optimizer, Training(), 10), 11)
    assert last == pytest.approx([1e-6] * 3)


@pytest.mark.slow
def test_a_tower_whose_rate_is_tiny_stays_where_it_was(recipe: Write) -> None:
    """The connector starts from the base; at a rate of 1e-12, and no more at the end, it moves by less than 1e-9."""
    path = recipe("rates", epochs=1, learning_rates={"connector": 1e-12}, minimum_learning_rate=0, weight_decay=0)
    assert train(path).exit_code == 0
    base = load_file(path.parent / "base" / "model.safetensors")
    trained = load_file(path.with_suffix("") / "model" / "adapter_model.safetensors")
    connector = {name: tensor for name, tensor in trained.items() if "language_projection.weight" in name}
    assert connector
    for tensor in connector.values():
        assert torch.allclose(tensor, base["language_projection.weight"], atol=1e-9, rtol=0)
    assert all(tensor.abs().max() > 1e-4 for name, tensor in trained.items() if "lora_B" in name)


@pytest.mark.slow
@pytest.mark.parametrize(("max_steps", "epochs", "expected"), [(4, 9, 4), (400, 2, 6)])
def test_training_ends_by_steps_or_by_epochs_what_comes_first(
    recipe: Write, max_steps: int, epochs: int, expected: int
) -> None:
    path = recipe(f"steps-{max_steps}", max_steps=max_steps, epochs=epochs)
    assert train(path).exit_code == 0
    last = history(path)[-1]
    assert (last["step"], "eval_loss" in last) == (expected, True)


def test_paged_adam_is_for_cuda(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = train(recipe("paged", optimizer="paged-adamw-8bit"))
    assert (result.exit_code, "paged-adamw-8bit needs a CUDA device" in result.stderr) == (2, True)


def test_a_loss_that_is_no_number_names_its_batch(recipe: Write) -> None:
    path = recipe("diverging", learning_rate=1e30, epochs=1)
    result = train(path)
    assert (result.exit_code, "training has diverged" in result.stderr) == (2, True)
    named = (path.with_suffix("") / "references-train.jsonl").read_text().splitlines()
    assert len([row for row in named if json.loads(row)["id"] in result.stderr]) == 2, result.stderr


def test_what_was_saved_before_training_diverged_stays(recipe: Write) -> None:
    """The rate is 0 in the first step and far too high in the second."""
    path = recipe("diverging-late", learning_rate=1e30, warmup_steps=2)
    result = train(path, "evaluation.every=1")
    assert (result.exit_code, "training has diverged" in result.stderr) == (2, True)
    (kept,) = (path.with_suffix("") / "checkpoints").iterdir()
    saved = load_file(kept / "adapter_model.safetensors")
    assert all(tensor.isfinite().all() for tensor in saved.values())


@pytest.mark.slow
def test_a_disk_that_takes_no_more_leaves_the_last_checkpoint(recipe: Write) -> None:
    """A limit on the size of files stands for the full disk: the optimizer of a whole model does not get below it."""
    path = recipe("full", epochs=1)
    assert train(path, "training.epochs=1").exit_code == 0  # makes base, cache and references
    largest = max(file.stat().st_size for file in (path.with_suffix("") / "checkpoints").rglob("*"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, before[1]))
    try:
        result = train(path, f"output={path.parent / 'fuller'}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.exit_code == 2, result.output
    assert "the checkpoint could not be written" in result.stderr
    assert not list((path.parent / "fuller" / "checkpoints").rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("language", ["lora", "full"])
def test_the_disk_asked_for_is_what_three_checkpoints_and_the_model_take(recipe: Write, language: str) -> None:
    path = recipe(f"disk-{language}", epochs=1)
    tune = f"tune={{vision: full, connector: full, language: {language}}}"
    assert train(path, tune).exit_code == 0
    (checkpoint,) = (path.with_suffix("") / "checkpoints").iterdir()
    weights = max(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    taken = 4 * weights + 3 * (checkpoint / "optimizer.pt").stat().st_size
    recipe = load_recipe(path, [tune])
    asked = needed_bytes(recipe.model, recipe.tune, recipe.lora, recipe.training) - MINIMUM_FREE
    assert 0.7 * taken < asked < 1.1 * taken, "the files' headers come on top, a tenth or more of tiny ones"


def test_a_damaged_checkpoint_is_named(recipe: Write) -> None:
    path = recipe("damaged", epochs=1)
    assert train(path).exit_code == 0
    run = path.with_suffix("")
    (run / "training.json").unlink()
    (checkpoint,) = (run / "checkpoints").iterdir()
    weights = checkpoint / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    result = train(path, "--resume")
    assert (result.exit_code, f"{checkpoint}: does not load" in result.stderr) == (2, True), result.output


@pytest.mark.slow
@pytest.mark.parametrize("callback", ["ResumableEarlyStopping", "EarlyStopping"], ids=["now", "earlier"])
def test_a_run_that_had_stopped_early_is_not_trained_on(recipe: Write, callback: str) -> None:
    """Killed after its last checkpoint, before its record: the resumed run knows that its patience was at its end.

    Earlier versions called the callback otherwise, by whose class name checkpoints keep it.
    """
    path = recipe(f"patient-{callback}", epochs=30, learning_rate=0.1, patience=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.training.train.remove_others", lambda folder, names: None)  # the moment before
        assert train(path).exit_code == 0
    expected = history(path)
    assert expected[-1]["step"] < 90
    (path.with_suffix("") / "training.json").unlink()
    for state in (path.with_suffix("") / "checkpoints").glob("*/trainer_state.json"):
        state.write_text(state.read_text().replace('"ResumableEarlyStopping"', f'"{callback}"'))
        assert callback in json.loads(state.read_text())["stateful_callbacks"]
    assert train(path, "--resume").exit_code == 0
    assert history(path) == expected
