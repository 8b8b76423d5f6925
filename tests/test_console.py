"""The console command `lookbook`: every command of every room, started quickly, and first to report a wrong recipe."""

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from places import ROOT
from typer.main import get_command
from typer.testing import CliRunner

from metrics.cli import GROUP
from metrics.common.version import installed_version

HEAVY = ("torch", "transformers", "peft", "accelerate", "datasets", "pandas", "numpy", "stanza", "evaluate")
# Runs `lookbook ARGUMENTS`, then prints what was imported, the CPU time spent, and the setting for tokenizers.
OBSERVED = f"""
import json, os, resource, sys
from metrics.cli import main
try:
    main()
except SystemExit:
    pass
used = resource.getrusage(resource.RUSAGE_SELF)
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([loaded, used.ru_utime + used.ru_stime, os.environ.get("TOKENIZERS_PARALLELISM")]))
"""


def lookbook(*arguments: Any, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lookbook")), *map(str, arguments)]
    env = os.environ | {"COLUMNS": "200"} | environment
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def observed(*arguments: Any) -> tuple[list[str], float, str | None, str]:
    """What a command imports of `HEAVY`, its CPU seconds, TOKENIZERS_PARALLELISM, and its stderr."""
    command = [sys.executable, "-c", OBSERVED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, seconds, tokenizers = json.loads(done.stdout.splitlines()[-1])
    return loaded, seconds, tokenizers, done.stderr


def test_every_room_registers_its_commands() -> None:
    rooms = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("finetune", "metrics", "recommend")
        for path in (ROOT / package).rglob("commands.py")
    }
    assert {entry.value for entry in entry_points(group=GROUP)} == {f"{room}:app" for room in rooms}
    for package in ("finetune", "metrics", "recommend"):
        text = (ROOT / package / "__main__.py").read_text(encoding="utf-8")
        for room in rooms:
            if room.startswith(f"{package}."):
                assert f"from {room.removesuffix('.commands')} import commands" in text


@pytest.mark.processes
def test_one_command_has_the_verbs_of_all_packages(tmp_path: Path) -> None:
    done = lookbook("--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for heading in ("Recipes", "Data", "Training", "Captions", "Experiments", "Publishing", "Measures", "Reports"):
        assert f"─ {heading} ─" in done.stdout
    for package in ("finetune", "metrics", "recommend"):
        assert f"{package}." not in done.stdout
    for verb in ("prepare", "train", "caption", "run", "push", "recipe", "score", "compare", "bench-scores"):
        assert f" {verb} " in done.stdout


@pytest.mark.processes
def test_version(tmp_path: Path) -> None:
    assert lookbook("--version", cwd=tmp_path).stdout == f"lookbook {installed_version()}\n"


@pytest.mark.processes
def test_folders_named_like_our_packages_do_not_shadow_them(tmp_path: Path) -> None:
    for package in ("metrics", "finetune", "recommend"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('the wrong package')")
    assert lookbook("--version", cwd=tmp_path).returncode == 0


@pytest.mark.processes
def test_two_packages_with_a_command_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        "import typer\napp = typer.Typer()\n@app.command()\ndef bench_scores() -> None:\n    pass\n"
    )
    metadata = tmp_path / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nother = other:app\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = lookbook("--help", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: the command bench-scores is defined twice, in metrics.bench.commands and in other"
    )


@pytest.mark.processes
def test_help_imports_nothing_that_takes_time() -> None:
    loaded, seconds, *_ = observed("--help")
    assert loaded == []
    assert seconds < 1.0  # 0.3 on an idle machine


@pytest.mark.processes
@pytest.mark.parametrize("command", ["prepare", "train", "validate", "run", "make-tiny", "baselines"])
def test_a_wrong_recipe_is_reported_before_torch_is_imported(command: str, tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    recipe = tmp_path / "shop.yaml"
    recipe.write_text("output: runs/shop\ndata: {catalogue: demo, folder: data}\nmodel: {bsae: x}\n")
    out = [tmp_path / "out"] if command == "baselines" else []
    for path, expected in ((recipe, "model.bsae"), (tmp_path / "missing.yaml", "missing.yaml")):
        loaded, seconds, tokenizers, message = observed(command, path, *out)
        assert message.startswith("error: ")
        assert expected in message
        assert loaded == []
        assert seconds < 2.0  # 0.5 on an idle machine
        assert tokenizers == "false"


@pytest.mark.processes
@pytest.mark.parametrize(
    "command",
    [
        ["sweep"],
        ["sweep", "--wandb"],
        ["reproduce"],
        ["bench-recipe"],
        ["caption", "--model", "base", "--out", "captions.jsonl", "--data"],
        ["caption", "--model", "base"],
        ["merge", "--out", "merged"],
        ["push", "--repo", "owner/name"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_mistyped_file_is_reported_before_torch_is_imported(command: list[str], tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    missing = tmp_path / "missing"
    loaded, _, _, message = observed(*command, missing)
    assert message.startswith("error: ")
    assert str(missing) in message
    assert loaded == []


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        (["sweep"], "vray: {}", "vray: unknown key; did you mean 'vary'?"),
        (["sweep"], "{recipe: RECIPE, output: out, vary: {training.seed: [1]}}", "model.bsae: unknown key"),
        (["reproduce"], "clels: []", "clels: unknown key; did you mean 'cells'?"),
        (
            ["reproduce"],
            "{output: out, cells: [{dataset: H&M, model: BLIP-2-2.7B, recipe: RECIPE}]}",
            "model.bsae: unknown key",
        ),
        (["bench-recipe"], "modles: []", "modles: unknown key; did you mean 'models'?"),
        (
            ["bench-recipe"],
            "{output: out, models: [{name: x, recipe: RECIPE, published: {padding: []}}]}",
            "model.bsae: unknown key",
        ),
        (["caption", "--model", "base", "--out", "captions.jsonl", "--data"], "modle: {}", "modle: unknown key"),
    ],
)
def test_a_wrong_file_is_reported_before_torch_is_imported(
    command: list[str], text: str, expected: str, tmp_path: Path
) -> None:
    pytest.importorskip("pydantic")
    recipe, file = tmp_path / "shop.yaml", tmp_path / "file.yaml"
    recipe.write_text("output: runs/shop\ndata: {catalogue: demo, folder: data}\nmodel: {bsae: x}\n")
    file.write_text(text.replace("RECIPE", str(recipe)))
    loaded, _, _, message = observed(*command, file)
    assert message.startswith("error: ")
    assert expected in message
    assert loaded == []


@pytest.mark.parametrize("package", ["finetune", "metrics", "recommend"])
def test_every_command_says_less_or_more_if_asked(package: str) -> None:
    app = import_module(f"{package}.__main__").app
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert len(commands) > 5
    for name, command in commands.items():
        assert {"--quiet", "--verbose"} <= {option for one in command.params for option in one.opts}, name


def test_not_both() -> None:
    app = import_module("finetune.__main__").app
    result = CliRunner().invoke(app, ["recipe", "--quiet", "--verbose"])
    assert (result.exit_code, result.stderr) == (2, "error: --quiet and --verbose: give one of them\n")


@pytest.mark.processes
def test_what_the_terminal_cannot_print_is_escaped() -> None:
    code = (
        "import typer; from metrics.cli import assemble; room = typer.Typer()\n"
        "@room.command()\ndef say(): print('caf\\xe9 \\udce9 \\u2713')\n"
        "@room.command()\ndef other(): 'H\\xe9lp'\n"
        "assemble('\\xe9', {'room': room})()"
    )
    for arguments, expected in ((["say"], b"caf\\xe9 \\udce9 \\u2713\n"), (["--help"], b"H\\xe9lp")):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
