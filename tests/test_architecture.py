"""Imports run one way, between packages and between rooms, and nowhere in a circle; light modules stay light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

# Each room may import the rooms before it, in its own package; a package those before it. What is in no room comes last.
ROOMS = {
    "metrics": (
        "common",
        "photos",
        "records",
        "text",
        "encoders",
        "measures",
        "scoring",
        "reports",
        "viewer",
        "spaces",
        "bench",
    ),
    "finetune": (
        "config",
        "data",
        "models",
        "runs",
        "embedding",
        "training",
        "captioning",
        "experiments",
        "publishing",
    ),
    "recommend": (
        "common",
        "ranking",
        "features",
        "items",
        "evaluation",
        "retrieval",
        "interactions",
        "recommenders",
        "experiments",
        "ranker",
        "report",
        "bench",
    ),
}
FORBIDDEN = {"metrics": {"finetune", "recommend", "datasets", "pandas"}, "finetune": {"recommend"}}
Names = tuple[str, ...]


def modules(package: str) -> dict[Names, Path]:
    """Module names, as tuples of their parts, to files."""
    found = {path.relative_to(ROOT).with_suffix("").parts: path for path in (ROOT / package).rglob("*.py")}
    return {parts[:-1] if parts[-1] == "__init__" else parts: path for parts, path in found.items()}


MODULES = modules("metrics") | modules("finetune") | modules("recommend")


def imported(path: Path) -> set[Names]:
    """The names that a file imports, lazily or for type checkers too; a name of a module may be a thing in it."""
    names: set[Names] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, (
                f"{path}:{node.lineno}: name the package instead of a relative import"
            )
            names |= {(*node.module.split("."), alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            names |= _loaded_by_name(node.args[0])
    return names


def _loaded_by_name(argument: ast.expr) -> set[Names]:
    """What `import_module` may load: a constant name, or every module of the package that an f-string begins with."""
    text = ast.literal_eval(argument) if isinstance(argument, ast.Constant) else ast.unparse(argument)[2:-1]
    package, variable, _ = text.partition(".{")
    parts = tuple(package.split("."))
    if not variable:
        return {parts}
    return {name for name in MODULES if name[:-1] == parts}


def module_of(name: Names) -> Names | None:
    """Our module that a name is or is in."""
    return next((name[:length] for length in (len(name), len(name) - 1) if name[:length] in MODULES), None)


def arrows() -> list[tuple[Names, Names]]:
    """Pairs of our modules: who imports whom. A package's `__init__` is only counted if its own names are imported."""
    pairs = ((name, module_of(target)) for name, path in MODULES.items() for target in imported(path))
    return [(name, target) for name, target in pairs if target is not None and target != name]


def rank(name: Names) -> int:
    rooms = ROOMS[name[0]]
    return rooms.index(name[1]) if len(name) > 1 and name[1] in rooms else len(rooms)


def test_every_folder_is_a_room() -> None:
    for package, rooms in ROOMS.items():
        folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert folders == set(rooms), package


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_of_packages_run_one_way(package: str) -> None:
    files = [path for name, path in MODULES.items() if name[0] == package]
    wrong = {str(path): {name[0] for name in imported(path)} & FORBIDDEN[package] for path in files}
    assert not {path: names for path, names in wrong.items() if names}


def test_imports_of_rooms_run_one_way() -> None:
    within = [(name, target) for name, target in arrows() if name[0] == target[0]]
    assert len(within) > 300
    backwards = [f"{'.'.join(name)} imports {'.'.join(target)}" for name, target in within if rank(target) > rank(name)]
    assert not backwards, "\n".join(backwards)


def test_no_imports_run_in_a_circle() -> None:
    targets: dict[Names, set[Names]] = {name: set() for name in MODULES}
    for name, target in arrows():
        targets[name].add(target)
    while targets:
        done = {name for name, of_name in targets.items() if not of_name & targets.keys()}
        assert done, "a circle among " + ", ".join(".".join(name) for name in targets)
        targets = {name: of_name for name, of_name in targets.items() if name not in done}


def test_no_folder_holds_more_than_twenty_files() -> None:
    counts: dict[Path, int] = {}
    for path in MODULES.values():
        counts[path.parent] = counts.get(path.parent, 0) + (path.name != "__init__.py")
    assert {str(folder): count for folder, count in counts.items() if count > 20} == {}


@pytest.mark.processes
@pytest.mark.parametrize(
    "module", ["metrics.__main__", "metrics.measures.category.measure", "finetune.__main__", "recommend.__main__"]
)
def test_the_command_lines_start_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_pickle_no_remote_code_no_shell() -> None:
    for path in MODULES.values():
        text = path.read_text(encoding="utf-8")
        for word in ("import pickle", "shell=True", "os.system"):
            assert word not in text, f"{path}: {word}"
        assert not re.search(r"torch\.load\((?!.*weights_only=True)", text), path  # which unpickles tensors alone


def test_pretrained_models_are_loaded_in_one_place_which_runs_no_code_of_theirs() -> None:
    calls = {"from_pretrained": set[str](), "from_config": set[str](), "SentenceTransformer": set[str]()}
    for parts, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute | ast.Name) and (name := ast.unparse(node).rpartition(".")[2]) in calls:
                calls[name].add(".".join(parts))
            if isinstance(node, ast.Call):
                _refuse_unsafe(node, path)
    of_peft = "finetune.models.adapter_files"  # of weights in safetensors, no pickles
    assert calls["from_pretrained"] == {"metrics.encoders.safe_loading", of_peft}
    assert all(calls.values())


def _refuse_unsafe(call: ast.Call, path: Path) -> None:
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    where, called = f"{path}:{call.lineno}", ast.unparse(call.func)
    if called.endswith((".from_pretrained", ".from_config", "SentenceTransformer")) and "Peft" not in called:
        assert given.get("trust_remote_code") == "False", where
    assert given.get("trust_remote_code", "False") == "False", where
    assert given.get("weights_only", "True") == "True", where
    assert given.get("use_safetensors", "True") == "True", where
