"""Imports run one way: metrics imports none of ours, finetune may import metrics; light modules stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

FORBIDDEN = {
    "metrics": {"finetune", "recommend", "datasets", "pandas"},
    "finetune": {"recommend"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_run_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path): imports(path) & FORBIDDEN[package] for path in files}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize(
    "module", ["metrics.__main__", "metrics.measures.category.measure", "finetune.__main__", "finetune.publishing.hub"]
)
def test_the_command_lines_start_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_pickle_no_remote_code_no_shell() -> None:
    for path in [*(ROOT / "finetune").rglob("*.py"), *(ROOT / "metrics").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        for word in ("trust_remote_code", "import pickle", "torch.load", "shell=True", "os.system"):
            assert word not in text, f"{path}: {word}"
