"""The packaged demo base: one name from any folder, and by the names that earlier versions gave it."""

import json
from pathlib import Path

import pytest
from places import DEMO_BASE
from tiny import finetune
from tiny_models import captions_of, load_tiny, photo, write_recipe

from finetune.models.families import family_of
from finetune.models.loading import base_name

NAMES = ("demo", "finetune/demo/base", "finetune/assets/demo-base")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert family_of(name) == "blip2"
    one, other = (captions_of(load_tiny(Path(base)), [photo(0)], max_new_tokens=8) for base in (name, DEMO_BASE))
    assert one == other


def test_all_its_spellings_are_one_name() -> None:
    spellings = (*NAMES, DEMO_BASE, "/somebody/lookbook/finetune/demo/base", "/site-packages/finetune/assets/demo-base")
    assert {base_name(str(spelling)) for spelling in spellings} == {"demo"}
    others = ("runs/base", "demo/base", "./demo-base", "shop/base@v2")
    assert [base_name(other) for other in others] == ["base", "base", "demo-base", "base"]


@pytest.mark.slow
def test_an_adapter_names_it_and_begins_another_run_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fixed = {"training": {"epochs": 1}, "decoding": {"max_new_tokens": 8}}
    first = write_recipe(tmp_path, "first", model={"base": "demo", "tiny": None}, **fixed)
    assert finetune("train", first).exit_code == 0
    config = tmp_path / "first" / "model" / "adapter_config.json"
    values = json.loads(config.read_text())
    assert values["base_model_name_or_path"] == "demo"
    config.write_text(json.dumps(values | {"base_model_name_or_path": "finetune/demo/base"}))  # as earlier versions
    second = write_recipe(tmp_path, "second", model={"base": NAMES[2], "tiny": None}, **fixed)
    result = finetune("train", second, "--init-from", tmp_path / "first")
    assert result.exit_code == 0, result.output
    captioned = finetune("caption", "--model", "demo", "--adapter", tmp_path / "first", "--data", second, "--limit", 2,
                         "--out", tmp_path / "captions.jsonl")  # fmt: skip
    assert captioned.exit_code == 0, captioned.output
    assert "was trained on" not in captioned.stderr
