"""The Python interface, as the README shows it."""

import re
from pathlib import Path

import pytest
from places import ROOT
from tiny_models import write_recipe


@pytest.mark.slow
def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, flags=re.S) if "from finetune" in block)
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    made = write_recipe(tmp_path, training={"epochs": 1}, decoding={"max_new_tokens": 5})
    made.rename("recipes/demo.yaml")
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102
    assert names["run"] == tmp_path / "run"
    expected = Path("run/references-test.jsonl").read_text().count("\n")
    assert len(names["records"]) == expected > 0  # type: ignore[arg-type]
    assert Path("test/captions.jsonl").is_file()
