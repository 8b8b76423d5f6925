"""The Python interface, as the README shows it."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, flags=re.S) if "from finetune" in block)
    recipe = {
        "output": "run",
        "data": {"catalogue": "demo", "folder": "demo", "articles": 120, "limit": 16},
        "model": {
            "base": "base",
            "dtype": "float32",
            "tiny": {"image_size": 32, "hidden_size": 32, "layers": 1, "queries": 4, "vocabulary": 400},
        },
        "training": {"epochs": 1, "batch_size": 8, "workers": 0, "tracker": "none"},
        "decoding": {"max_new_tokens": 5},
    }
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    Path("recipes/demo.yaml").write_text(yaml.safe_dump(recipe))
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102
    assert names["run"] == Path("run")
    expected = Path("run/references-test.jsonl").read_text().count("\n")
    assert len(names["records"]) == expected > 0  # type: ignore[arg-type]
    assert Path("test/captions.jsonl").is_file()
