"""Adapters side by side on one base, adapters as a start, adapters from the Hub's cache."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tiny_models import photo, write_recipe, write_tiny
from typer.testing import CliRunner, Result

from finetune.__main__ import app
from finetune.data.demo.catalogue import write_demo

pytestmark = pytest.mark.slow

LORA = {"rank": 4, "alpha": 8, "modules": "query-value"}
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def finetune(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(*arguments: Any) -> str:
    result = finetune(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: Any) -> str:
    result = finetune(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on one base, `one`, `other` and `full`, which tunes the connector too, and photos."""
    folder = tmp_path_factory.mktemp("several")
    write_demo(folder / "demo", 150, 0)
    said("train", recipe(folder, "one"))
    said("train", recipe(folder, "other", training={"seed": 2}))
    said("train", recipe(folder, "full", tune={"connector": "full"}))
    for number in range(2):
        photo(number).save(folder / f"{number}.png")
    return folder


def recipe(root: Path, name: str, **sections: Any) -> Path:
    fixed = {"lora": LORA | sections.pop("lora", {}), "decoding": {"max_new_tokens": 8}}
    training = {"epochs": 1, "learning_rate": 1e-2} | sections.pop("training", {})
    return write_recipe(root, name, training=training, **fixed, **sections)


def test_several_adapters_write_what_each_writes_alone(root: Path, tmp_path: Path) -> None:
    base, data = ("--model", root / "base"), ("--data", root / "one.yaml")
    alone = {}
    for name in ("one", "other", "full"):
        said("caption", *base, *data, "--adapter", root / name, "--out", tmp_path / name / "captions.jsonl")
        alone[name] = (tmp_path / name / "captions.jsonl").read_text()
    assert len(set(alone.values())) == 3
    adapters = ("--adapter", root / "one", "--adapter", root / "full", "--adapter", root / "other" / "model")
    said("caption", *base, *data, *adapters, "--out", tmp_path / "all")
    for name, captions in alone.items():
        assert (tmp_path / "all" / name / "captions.jsonl").read_text() == captions
        run = json.loads((tmp_path / "all" / name / "run.json").read_text())
        assert (run["system"], run["adapter"]) == (name, str(root / name / "model"))
        assert run["recipe"]["output"] == str(root / name)


def test_loose_photos_have_a_caption_of_each_adapter(root: Path) -> None:
    photos = [root / "0.png", root / "1.png"]
    alone = {}
    for name in ("one", "other"):
        lines = said("caption", *photos, "--model", root / "base", "--adapter", root / name).splitlines()[-2:]
        alone[name] = [line.partition(".png: ")[2] for line in lines]
    adapters = ("--adapter", root / "one", "--adapter", root / "other")
    lines = said("caption", *photos, "--model", root / "base", *adapters).splitlines()[-4:]
    assert lines == [f"{photo}: {name}: {alone[name][place]}" for place, photo in enumerate(photos) for name in alone]


def test_what_several_adapters_cannot_have_is_one_message(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "one", tmp_path / "copies" / "one")
    two, data = ("--adapter", root / "one", "--adapter", root / "other"), ("--data", root / "one.yaml")
    clash = ("--adapter", root / "one", "--adapter", tmp_path / "copies" / "one" / "model")
    command = ("caption", "--model", root / "base")
    assert "are both called one" in refused(*command, *clash, *data, "--out", tmp_path / "out")
    assert "each named after their folder" in refused(*command, *two, *data, "--out", tmp_path / "x", "--name", "me")
    assert "is a file" in refused(*command, *two, *data, "--out", root / "0.png")
    assert "no such folder, and no Hub id" in refused(*command, root / "0.png", "--adapter", tmp_path / "absent")
    other = recipe(root, "prompted", prompt="a photo of")
    assert "trained with prompt=''" in refused(*command, *two, "--data", other, "--out", tmp_path / "x")
    assert "no adapter_config.json" in refused(*command, root / "0.png", "--adapter", root / "base")


def test_a_damaged_base_or_adapter_is_one_message(root: Path, tmp_path: Path) -> None:
    base, picture = root / "base", root / "0.png"

    def refused_when_cut(folder: Path, cut: str, kept: int | None, *options: Any) -> None:
        copied = Path(shutil.copytree(folder, tmp_path / f"{options[0]}-{folder.name}-{cut}-{kept}"))
        (copied / cut).write_bytes((copied / cut).read_bytes()[:kept])
        message = refused(*(copied if option is None else option for option in options))
        problem = "expected a JSON object, found damaged text (" if cut == CONFIG else "the file is damaged ("
        assert f"error: {copied / cut}: {problem}" in message
        assert "copy it again from where it came, or train again" in message

    for cut, kept in ((WEIGHTS, -100), (WEIGHTS, 40), (WEIGHTS, 0), (CONFIG, -100)):
        adapter = root / "one" / "model"
        refused_when_cut(adapter, cut, kept, "caption", picture, "--model", base, "--adapter", None)
        refused_when_cut(adapter, cut, kept, "train", recipe(root, "cut"), "--init-from", None)
    for kept in (-100, 40):
        refused_when_cut(base, "model.safetensors", kept, "caption", picture, "--model", None)
    bare = Path(shutil.copytree(base, tmp_path / "bare"))
    for path in [*bare.glob("*token*"), *bare.glob("*processor*"), *bare.glob("*vocab*"), *bare.glob("merges*")]:
        path.unlink()
    assert "expected a processor" in refused("caption", picture, "--model", bare)


def changed(folder: Path, copy: Path, weights: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """A copy of a folder with one of its tensors changed."""
    shutil.copytree(folder, copy)
    tensors = load_file(copy / weights)
    name = next(name for name in sorted(tensors) if "language_model" in name and name.endswith("weight"))
    save_file(tensors | {name: change(tensors[name])}, copy / weights, {"format": "pt"})
    return copy


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(root: Path, tmp_path: Path, value: float) -> None:
    """They would write empty captions."""

    def spoil(tensor: torch.Tensor) -> torch.Tensor:
        return torch.full_like(tensor, value)

    adapter = changed(root / "one" / "model", tmp_path / "adapter", WEIGHTS, spoil)
    base = changed(root / "base", tmp_path / "base", "model.safetensors", spoil)
    data = ("--data", root / "one.yaml", "--out", tmp_path / "captions.jsonl")
    expected = "expected finite weights, found infinite ones or NaN in "
    assert f"error: {adapter / WEIGHTS}: {expected}" in refused(
        "caption", *data, "--model", root / "base", "--adapter", adapter
    )
    assert f"error: {adapter / WEIGHTS}: {expected}" in refused("train", recipe(root, "nan"), "--init-from", adapter)
    assert f"error: {base}: {expected}" in refused("caption", root / "0.png", "--model", base)
    assert not list(tmp_path.glob("*captions*"))


def test_activations_that_overflow_are_one_message(root: Path, tmp_path: Path) -> None:
    base = changed(root / "base", tmp_path / "base", "model.safetensors", lambda tensor: tensor * 0 + 3e38)
    data = ("--data", root / "one.yaml", "--out", tmp_path / "captions.jsonl")
    message = refused("caption", *data, "--model", base)
    assert "expected finite log-probabilities" in message
    assert "overflow in torch.float32; set model.dtype: bfloat16 or float32" in message
    assert not (tmp_path / "captions.jsonl").exists()


def test_a_base_of_another_name_is_reported_and_of_another_shape_refused(root: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(root / "base", tmp_path / "another")
    result = finetune("caption", root / "0.png", "--model", copied, "--adapter", root / "one")
    assert result.exit_code == 0
    assert f"was trained on {root / 'base'}, and is put on {copied}" in result.stderr
    llava = write_tiny(tmp_path / "llava", "llava")
    assert "does not load on this base" in refused(
        "caption", root / "0.png", "--model", llava, "--adapter", root / "one"
    )


def test_training_begins_from_an_adapter(root: Path, tmp_path: Path) -> None:
    """With a learning rate of next to nothing the run ends where it began."""
    path = recipe(root, "begun", training={"learning_rate": 1e-12, "minimum_learning_rate": 0, "weight_decay": 0})
    said("train", path, "--init-from", root / "one")
    begun, one = (load_file(root / name / "model" / WEIGHTS) for name in ("begun", "one"))
    assert begun.keys() == one.keys()
    assert all(torch.allclose(begun[name], one[name], atol=1e-8) for name in one)
    record = json.loads((root / "begun" / "training.json").read_text())
    assert record["init_from"]["adapter"] == str(root / "one")
    assert "trained already" in said("train", path, "--resume", "--init-from", root / "one" / "model")
    assert f"began from the adapter {root / 'one'}" in refused("train", path, "--resume")
    assert "began from the adapter" in refused("train", path, "--resume", "--init-from", root / "other")
    assert "began with new adapters" in refused("train", root / "one.yaml", "--resume", "--init-from", root / "other")


@pytest.mark.parametrize(
    ("sections", "messages"),
    [
        ({"lora": {"rank": 8, "alpha": 16}}, ["lora.rank: 4 there, 8 here", "lora.alpha: 8.0 there, 16.0 here"]),
        ({"lora": {"rslora": False, "dora": True}}, ["lora.rslora: True there", "lora.dora: False there, True here"]),
        ({"lora": {"modules": "all-linear"}}, ["lora.modules", "tensors are on one side only"]),
        ({"tune": {"vision": "lora"}}, ["towers: language there, language, vision here"]),
        ({"tune": {"language": "full"}}, ["begins from an adapter, but tune has no tower with lora"]),
        ({"model": {"base": "elsewhere"}}, ["base: {root}/base there, {root}/elsewhere here"]),
        ({"model": {"family": "llava", "base": "llava"}}, ["of another family than model.family llava"]),
    ],
    ids=["rank", "scaling", "targets", "towers", "full", "base", "family"],
)
def test_another_start_is_refused_by_what_differs(
    root: Path, sections: dict[str, dict[str, Any]], messages: list[str]
) -> None:
    model = sections.get("model", {})
    if "base" in model:
        sections = sections | {"model": model | {"base": str(root / model["base"])}}
    message = refused("train", recipe(root, "refused", **sections), "--init-from", root / "one")
    assert all(part.format(root=root) in message for part in messages), message
    assert not (root / "refused" / "training.json").exists()


@pytest.mark.processes
@pytest.mark.slow
def test_adapters_and_bases_come_from_the_cache_of_the_hub_by_revision(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As huggingface_hub lays its cache out; offline, so that nothing is asked of the Hub."""

    def cached(folder: Path, name: str) -> None:
        place = tmp_path / "hub" / f"models--shop--{name}"
        shutil.copytree(folder, place / "snapshots" / ("a" * 40))
        (place / "refs").mkdir()
        (place / "refs" / "v2").write_text("a" * 40)

    cached(root / "base", "base")
    cached(root / "one" / "model", "dresses")
    command = [sys.executable, "-m", "finetune", "caption", str(root / "0.png"), "--model", "shop/base@v2", "--adapter"]
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([*command, "shop/dresses@v2"], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    here = said("caption", root / "0.png", "--model", root / "base", "--adapter", root / "one")
    assert found.stdout.splitlines()[-1] == here.splitlines()[-1]
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    absent = refused("caption", root / "0.png", "--model", root / "base", "--adapter", "shop/dresses@v3")
    assert "adapter shop/dresses@v3: no such folder, and it could not be fetched from the Hub" in absent


def test_a_run_that_lacks_its_model_is_not_looked_for_on_the_hub(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "one", tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "model")
    message = refused("caption", root / "0.png", "--model", tmp_path / "moved")
    assert message.startswith(
        f"error: {tmp_path / 'moved' / 'model'}: expected the trained adapter (adapter_config.json)"
    )
