"""`recipe`: the packaged recipes, listed and written out."""

import re
from pathlib import Path

import pytest
from places import RECIPES
from tiny import finetune


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_lists_every_recipe_with_what_it_is() -> None:
    lines = finetune("recipe").stdout.splitlines()
    names = {str(path.relative_to(RECIPES).with_suffix("")) for path in RECIPES.rglob("*.yaml")}
    assert {line.split()[0] for line in lines} == names
    assert "demo                               The built-in catalogue, end to end" in "\n".join(lines)


def test_it_writes_a_recipe_out_where_its_head_says_it_is(elsewhere: Path) -> None:
    assert finetune("recipe", "demo").stdout == "recipes/demo.yaml\n"
    assert (elsewhere / "recipes" / "demo.yaml").read_bytes() == (RECIPES / "demo.yaml").read_bytes()


@pytest.mark.parametrize("name", ["grids/demo", "grids/published", "sweeps/demo", "ablation/demo"])
def test_the_recipes_that_it_names_come_along(elsewhere: Path, name: str) -> None:
    assert finetune("recipe", name).exit_code == 0
    named = re.findall(r"recipe: ([\w./-]+)", (elsewhere / "recipes" / f"{name}.yaml").read_text())
    assert named
    for path in named:
        assert (elsewhere / path).read_bytes() == (RECIPES.parent / path).read_bytes()


def test_nothing_is_overwritten(elsewhere: Path) -> None:
    mine = elsewhere / "recipes" / "demo.yaml"
    mine.parent.mkdir()
    mine.write_text("mine")
    result = finetune("recipe", "demo")
    assert (result.exit_code, mine.read_text()) == (2, "mine")
    assert result.stderr.startswith("error: recipes/demo.yaml: is there already")
    assert finetune("recipe", "sweeps/demo").stdout == "recipes/sweeps/demo.yaml\n"
    assert mine.read_text() == "mine"


def test_an_unknown_name() -> None:
    result = finetune("recipe", "../demo")
    assert result.exit_code == 2
    assert "no recipe is called ../demo" in result.stderr
    assert "grids/demo" in result.stderr
