"""The Spaces as they would be pushed: their files, the folder metrics beside them, what their requirements.txt install."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from places import ROOT

from metrics.common.version import DISTRIBUTION

SPACES = ROOT / "metrics" / "spaces"
NAMES = sorted(folder.name for folder in SPACES.iterdir() if (folder / "app.py").is_file())
ARGUMENTS = {
    "attributes": {"vocabulary": "vocabulary.json"},
    "category_accuracy": {"classifier": "classifier"},
    "clip_score": {"images": "photos"},
}
# Hides every installed package that the requirements do not bring, loads the Spaces, and says whose `metrics` they use.
LOAD = """
import json, sys
hidden, spaces = json.loads(sys.argv[1])
class Visible:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, attribute):
        return getattr(self.finder, attribute)
    def find_spec(self, module, path=None, target=None):
        return None if module.partition(".")[0] in hidden else self.finder.find_spec(module, path, target)
sys.meta_path[:] = map(Visible, sys.meta_path)
import evaluate, metrics
found = {}
for name, arguments in spaces.items():
    module = evaluate.load(f"{name}.py", **arguments)
    ready = not arguments and name != "spice"
    found[module.name] = sorted(module.compute(predictions=["a dress"], references=["a dress"])) if ready else None
print(json.dumps([metrics.__file__, found]))
"""

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def closure(requirements: list[str]) -> set[str]:
    """The names of the distributions that pip would install for the requirements."""
    packaging = pytest.importorskip("packaging.requirements")
    names: set[str] = set()
    waiting = [packaging.Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        name = requirement.name.lower().replace("_", "-")
        if name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        names.add(name)
        try:
            waiting += [packaging.Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
    return names


def spaces_by_requirements() -> dict[str, list[str]]:
    """The Spaces that have the same requirements, which one process tries."""
    groups: dict[str, list[str]] = {}
    for name in NAMES:
        groups.setdefault((SPACES / name / "requirements.txt").read_text(encoding="utf-8"), []).append(name)
    return groups


@pytest.mark.parametrize(("requirements", "names"), spaces_by_requirements().items(), ids=["first", "second"])
def test_spaces_load_with_their_requirements_alone(requirements: str, names: list[str], tmp_path: Path) -> None:
    pytest.importorskip("evaluate")
    for name in names:
        shutil.copytree(SPACES / name, tmp_path / "space", dirs_exist_ok=True)
    shutil.copytree(ROOT / "metrics", tmp_path / "space" / "metrics", ignore=shutil.ignore_patterns("__pycache__"))
    head, *lines = requirements.splitlines()
    assert DISTRIBUTION in head
    installed = closure(lines)
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if module != "metrics" and not {owner.lower().replace("_", "-") for owner in owners} & installed
    ]
    assert {"finetune", "pytest"} <= set(hidden)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_EVALUATE_OFFLINE": "1"}
    spaces = {name: ARGUMENTS.get(name, {}) for name in names}
    command = [sys.executable, "-c", LOAD, json.dumps([hidden, spaces])]
    done = subprocess.run(command, cwd=tmp_path / "space", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    origin, found = json.loads(done.stdout)
    assert Path(origin).is_relative_to(tmp_path)
    assert list(found) == names
    assert all(values or name in (*ARGUMENTS, "spice") for name, values in found.items())
