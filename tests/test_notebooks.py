"""Notebooks are committed without outputs and use only the public interface; `make notebooks` runs them."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

PUBLIC = {"finetune", "metrics", "recommend"}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@each_notebook
def test_a_notebook_has_no_outputs(notebook: Path) -> None:
    for cell in code_cells(notebook):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@each_notebook
def test_a_notebook_imports_public_functions_and_defines_nothing(notebook: Path) -> None:
    lines = [line for cell in code_cells(notebook) for line in [*cell["source"], "\n"]]
    for node in ast.walk(ast.parse("".join(re.sub(r"%pip .*", "pass", line) for line in lines))):
        assert not isinstance(node, ast.FunctionDef | ast.ClassDef)
        if isinstance(node, ast.ImportFrom):
            assert node.module in PUBLIC or str(node.module).split(".")[0] not in PUBLIC
        if isinstance(node, ast.Import):
            assert all(alias.name in PUBLIC or alias.name.split(".")[0] not in PUBLIC for alias in node.names)


@each_notebook
def test_a_notebook_begins_by_installing_what_it_needs(notebook: Path) -> None:
    assert "%pip install" in "".join(code_cells(notebook)[0]["source"])
