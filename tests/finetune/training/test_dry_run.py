"""`train --dry-run`, and micro-batches that shrink until they fit."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import finetune
from tiny_models import captions_of, load_tiny, photo, write_recipe, write_tiny
from torch.nn.modules.module import register_module_forward_pre_hook

from metrics.common.errors import UserError

FULL = {"vision": "frozen", "connector": "frozen", "language": "full"}


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_measures_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recipe(tmp_path, training={"micro_batch_size": 4, "epochs": 3, "tracker": "tensorboard"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert finetune("prepare", path).exit_code == 0
    before = files(tmp_path)
    result = finetune("train", path, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "memory, estimated: 1.0" in result.stdout
    for name in ("tokens per step", "optimizer step", "captioning", "peak memory"):
        assert name in result.stdout
    assert "9 steps, 3 validations" in " ".join(result.stdout.split())  # 24 photos in batches of 8, three times
    assert files(tmp_path) == before
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_a_dry_run_leaves_a_finished_run_alone(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, training={"epochs": 1})
    assert finetune("train", path).exit_code == 0
    before = files(tmp_path)
    assert finetune("train", path, "--dry-run", "training.learning_rate=1e-5").exit_code == 0
    assert files(tmp_path) == before


def test_a_dry_run_is_no_resumed_run(tmp_path: Path) -> None:
    refused = finetune("train", write_recipe(tmp_path), "--dry-run", "--resume")
    assert (refused.exit_code, "leave --resume and --init-from out" in refused.stderr) == (2, True)


@contextmanager
def memory_for(photos: int, *, after: int = 0) -> Iterator[list[int]]:
    """Let the language model run out of memory on more photos, from its `after`th call on; the sizes that it saw."""
    seen: list[int] = []

    def look(module: torch.nn.Module, inputs: Any) -> None:
        if type(module).__name__ == "OPTDecoderLayer" and not inputs[0].is_meta:  # as memory is estimated
            seen.append(len(inputs[0]))
            if seen[-1] > photos and len(seen) > after:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")

    handle = register_module_forward_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()


def trained(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    folder = path.with_suffix("")
    return load_file(folder / "model" / "model.safetensors"), json.loads((folder / "training.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 2])
def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch(tmp_path: Path, after: int) -> None:
    """At the first step and at the third, before any checkpoint: the weights of a run that began with what fits, bit for bit."""
    path, fits = (
        write_recipe(tmp_path, name, tune=FULL, training={"micro_batch_size": size})
        for name, size in (("run", 8), ("fits", 2))
    )
    with memory_for(2, after=after):
        result = finetune("train", path)
    assert result.exit_code == 0, result.output
    assert "out of memory with micro-batches of 8" in result.stderr
    assert "4 of 2 make the same batch" in result.stderr
    assert finetune("train", fits).exit_code == 0
    (weights, record), (expected, other) = trained(path), trained(fits)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights.items())
    assert (record["micro_batch_size"], record["recipe"]["training"]["micro_batch_size"]) == (2, 8)
    assert record["loss_history"] == other["loss_history"]


@pytest.mark.slow
def test_the_size_that_fits_is_remembered(tmp_path: Path) -> None:
    """A run that ended without a checkpoint begins with it; of another recipe it says nothing."""
    path = write_recipe(tmp_path, tune=FULL)
    with memory_for(0):
        refused = finetune("train", path)
    assert (refused.exit_code, "out of memory with a single photo" in refused.stderr) == (2, True), refused.output
    assert "Traceback" not in refused.output
    with memory_for(8) as seen:
        resumed = finetune("train", path, "training.epochs=1", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "nothing to resume" not in resumed.output, "the folder is this recipe's, as after `run` has begun"
    assert set(seen) == {1}
    other = write_recipe(tmp_path, "other", tune=FULL, training={"micro_batch_size": 4, "epochs": 1})
    (tmp_path / "other").mkdir()
    (tmp_path / "run" / "micro-batch.json").rename(tmp_path / "other" / "micro-batch.json")
    with memory_for(8) as seen:
        assert finetune("train", other).exit_code == 0
    assert max(seen) == 4


@pytest.mark.slow
def test_another_error_is_not_taken_for_it(tmp_path: Path) -> None:
    def fail(module: torch.nn.Module, inputs: Any) -> None:
        if type(module).__name__ == "OPTDecoderLayer" and not inputs[0].is_meta:  # as memory is estimated
            raise RuntimeError("something else")

    handle = register_module_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="something else"):
            raise finetune("train", write_recipe(tmp_path)).exception or AssertionError("it trained")
    finally:
        handle.remove()


@pytest.mark.slow
def test_captions_that_do_not_fit_are_written_in_halves(tmp_path: Path) -> None:
    captioner = load_tiny(write_tiny(tmp_path / "base"))
    photos = [photo(number) for number in range(5)]
    whole = captions_of(captioner, photos, max_new_tokens=6)
    with memory_for(2) as seen, pytest.warns(UserWarning, match=r"lower decoding\.batch_size"):
        halves = captions_of(captioner, photos, max_new_tokens=6)
    assert set(seen) == {5, 3, 2, 1}
    assert [(one.caption, one.tokens) for one in halves] == [(one.caption, one.tokens) for one in whole]
    with memory_for(0), pytest.warns(UserWarning), pytest.raises(UserError, match="a single photo"):
        captions_of(captioner, photos, max_new_tokens=6)
