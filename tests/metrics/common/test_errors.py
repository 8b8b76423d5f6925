"""What a command prints when it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metrics.common.errors import is_shortage


@pytest.mark.processes
@pytest.mark.parametrize(("debug", "shown"), [(None, False), ("0", False), ("1", True)])
def test_the_cause_is_shown_if_asked_for(tmp_path: Path, debug: str | None, shown: bool) -> None:
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"id": "1", "caption": \n', encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "LOOKBOOK_DEBUG"}
    environment |= {"LOOKBOOK_DEBUG": debug} if debug else {}
    command = [sys.executable, "-m", "metrics", "score", str(captions), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    *before, last = done.stderr.splitlines()
    assert last.startswith(f"error: {captions}:1: not JSON")
    assert any(line.startswith("json.decoder.JSONDecodeError: ") for line in before) == shown
    assert any(line.startswith("metrics.common.errors.UserError: ") for line in before) == shown
    assert bool(before) == shown


@pytest.mark.torch
def test_a_shortage_of_memory_is_not_taken_for_damage(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as shortage:
        torch.empty(2**60)
    (tmp_path / "model.pt").write_bytes(bytes(1000))
    with pytest.raises(Exception, match="weights_only") as damage:
        torch.load(tmp_path / "model.pt", weights_only=True)
    assert is_shortage(shortage.value)
    assert not is_shortage(damage.value)
