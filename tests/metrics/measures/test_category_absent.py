"""Category accuracy where the packages of its classifier may be missing."""

import json
from importlib.util import find_spec
from pathlib import Path

from typer.testing import CliRunner

from metrics.__main__ import app
from metrics.measures.category.measure import Category

COMPLETE = all(find_spec(name) for name in ("torch", "transformers", "accelerate"))


def test_without_its_packages_it_says_what_to_install(tmp_path: Path) -> None:
    config = {"model_type": "bert", "id2label": {"0": "Dress", "1": "Hat"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "model.safetensors").touch()
    reason = Category(tmp_path).absent()
    missing = tmp_path / "none.jsonl"
    command = ["train-classifier", str(missing), "--validation", str(missing), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    if COMPLETE:
        assert reason is None
        assert f"{missing}: no such file" in result.stderr
    else:
        assert "pip install '.[measures]'" in str(reason)
        assert "pip install '.[measures]'" in result.stderr
