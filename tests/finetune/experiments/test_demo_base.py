"""The demo's base model: committed, small, made by a command that still makes it, and it sees."""

import json
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from tiny_models import captions_of
from typer.testing import CliRunner

from finetune.__main__ import app
from finetune.config.recipe import Model
from finetune.data.demo.drawing import draw
from finetune.data.demo.garments import sample_garment
from finetune.data.demo.wording import ALT_COLOUR, ALT_TYPE
from finetune.models.families import captioner_class

BASE = ROOT / "finetune" / "assets" / "demo-base"


def test_it_is_small_and_records_how_it_was_made() -> None:
    assert sum(path.stat().st_size for path in BASE.glob("*.safetensors")) <= 5_000_000
    made = json.loads((BASE / "made.json").read_text())
    assert made["command"].startswith("python -m finetune make-demo-base")
    assert {"torch", "transformers"} <= made["versions"].keys()
    assert made["seed"] == 1


def test_it_names_type_and_colour_of_drawings_it_never_saw() -> None:
    captioner = captioner_class("blip2").load(Model(base=str(BASE), dtype="float32"), "cpu")
    garments = [sample_garment(np.random.default_rng([77, number])) for number in range(48)]
    photos = [draw(garment, np.random.default_rng([78, number])) for number, garment in enumerate(garments)]
    captions = [one.caption for one in captions_of(captioner, photos, max_new_tokens=60)]
    right = [
        ALT_TYPE[garment.type] in caption and ALT_COLOUR[garment.colour] in caption
        for garment, caption in zip(garments, captions, strict=True)
    ]
    assert np.mean(right) > 0.75


@pytest.mark.slow
def test_its_command_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "output": tmp_path / "run",
        "data.folder": tmp_path / "drawings",
        "model.base": tmp_path / "untrained",
        "training.epochs": 2,
        "training.workers": 0,
        "training.warmup_steps": 2,
        "training.batch_size": 32,
        "training.micro_batch_size": 32,
    }
    options = [option for key, value in settings.items() for option in ("--set", f"{key}={value}")]
    out = tmp_path / "base"
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, ["make-demo-base", "--out", str(out), "--drawings", "300", *options])
    assert result.exit_code == 0, result.output
    assert {path.name for path in BASE.iterdir()} == {path.name for path in out.iterdir()}
    captioner = captioner_class("blip2").load(Model(base=str(out), dtype="float32"), "cpu")
    assert captions_of(captioner, [draw(sample_garment(np.random.default_rng(0)), np.random.default_rng(0))])
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        assert json.loads((out / name).read_text()).keys() == json.loads((BASE / name).read_text()).keys()
