"""Processes that we start import our code, and in their own children too, wherever they run; they end with us."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from places import ROOT

import metrics
from metrics.common.processes import child_environment, identity, process_of, python_module

PACKAGE = str(Path(metrics.__file__).parent)
WHOSE = "import metrics; print(metrics.__file__)"
CHILD = f"""
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-c", {WHOSE!r}]).returncode)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a package `metrics` of the user's own, and a module that has a child."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("raise ImportError('metrics of the user')")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "with_child.py").write_text(CHILD)
    return tmp_path


@pytest.mark.processes
def test_a_folder_metrics_of_the_users_is_not_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder / "modules"))
    command = python_module("with_child")
    done = subprocess.run(command, cwd=folder, env=child_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(PACKAGE)


def test_the_environment_is_ours_with_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_CACHE", "here")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    environment = child_environment(OMP_NUM_THREADS="1")
    assert (environment["LOOKBOOK_CACHE"], environment["OMP_NUM_THREADS"]) == ("here", "1")
    assert environment.get("PYTHONPATH") in {None, str(ROOT)}  # none if the package is installed


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
def test_a_process_of_its_own_ends_with_the_one_that_started_it(number: str) -> None:
    work = "import time; from metrics.common.processes import in_own_process; in_own_process(time.sleep, 60)"
    with subprocess.Popen([sys.executable, "-c", work], stderr=subprocess.DEVNULL) as process:
        started: list[psutil.Process] = []
        while not any("spawn_main" in " ".join(child.cmdline()) for child in started):
            assert process.poll() is None
            time.sleep(0.02)
            started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(getattr(signal, number))
    assert psutil.wait_procs(started, 15)[1] == []


def test_a_process_is_known_by_pid_and_start() -> None:
    pid, started = identity().split()
    assert process_of(f"{pid} {started}") == psutil.Process()
    assert process_of(f"{pid} {float(started) - 60:.2f}") is None  # an earlier one of the same pid
    for text in ("", "x y", f"{pid}", f"{2**22 + 1} {started}", f"{2**70} {started}", f"-1 {started}"):
        assert process_of(text) is None
