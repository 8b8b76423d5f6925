"""The prompt: the family's or the recipe's own, kept by the run, and what it leaves of the context."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_recipe
from typer.testing import CliRunner, Result

from finetune.__main__ import app

Write = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path) -> Write:
    def write(**training: Any) -> Path:
        return write_recipe(tmp_path, training=training)

    return write


def train(path: Path, *overrides: str) -> Result:
    return CliRunner().invoke(app, ["train", str(path), *overrides])


@pytest.mark.slow
def test_a_run_keeps_its_prompt(recipe: Write, tmp_path: Path) -> None:
    path = recipe(epochs=1)
    assert train(path, "prompt=a photo of").exit_code == 0
    options = [
        "--model",
        str(path.with_suffix("")),
        "--data",
        str(path),
        "--out",
        str(tmp_path / "c" / "captions.jsonl"),
    ]
    other = CliRunner().invoke(app, ["caption", *options, "--set", "prompt=a picture of"])
    assert (other.exit_code, "prompt='a photo of'" in other.stderr) == (2, True)
    assert CliRunner().invoke(app, ["caption", *options]).exit_code == 0
    run = json.loads((tmp_path / "c" / "run.json").read_text())
    assert run["prompt"] == "a photo of"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.family=llava", "prompt=Describe it."], "prompt: expected 1 <image>"),
        (["prompt=<image> a photo of"], "prompt: expected 0 <image>"),
        (["prompt='a photo of '"], "prompt: ends in a blank"),
        (["decoding.max_new_tokens=600"], "decoding.max_new_tokens: 600 is more than"),
        (["model.family=llava"], "a tiny model of another family, shape or seed (blip2)"),
    ],
)
def test_a_prompt_or_family_that_does_not_fit_is_refused(recipe: Write, overrides: list[str], message: str) -> None:
    path = recipe(epochs=1)
    assert CliRunner().invoke(app, ["make-tiny", str(path)]).exit_code == 0
    result = train(path, *overrides)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


@pytest.mark.slow
def test_a_caption_that_is_cut_is_counted(recipe: Write, tmp_path: Path) -> None:
    path = recipe(epochs=1)
    result = train(path, "prompt=" + "photo " * 115 + "of", "decoding.max_new_tokens=2")
    assert result.exit_code == 0, result.output
    record = json.loads((path.with_suffix("") / "training.json").read_text())
    cut = record["cut_captions"]["train"]
    assert (
        f"{len(cut):>9,}  captions of train are longer than the model reads and cut, such as {cut[0]}" in result.output
    )
