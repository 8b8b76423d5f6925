"""The folder of parses: one process at a time, complete or made again."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from metrics.measures.spice.parses import UnreadableParsesError, parse_cache


@pytest.fixture
def folder(lookbook_cache: Path) -> Path:
    with parse_cache() as parses:
        (parses / "data.mdb").write_bytes(b"parses")
    return parses


def test_what_was_sealed_is_kept(folder: Path) -> None:
    with parse_cache() as again:
        assert again == folder
        assert (again / "data.mdb").read_bytes() == b"parses"


@pytest.mark.parametrize("seal", [None, "", "another"])
def test_what_is_damaged_or_foreign_is_removed(
    folder: Path, seal: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if seal is None:
        (folder / "data.mdb").write_bytes(b"Parses")
    else:
        (folder / "seal").write_text(seal)
    with parse_cache() as again:
        assert not (again / "data.mdb").exists()
    assert "damaged or not its own; they are removed and made again" in capsys.readouterr().err


def test_a_run_that_was_killed_leaves_parses_that_are_kept_if_they_can_be_read(folder: Path) -> None:
    (folder / "seal").write_text("open")
    with parse_cache() as again:
        assert (again / "data.mdb").read_bytes() == b"parses"
    (folder / "seal").write_text("open")
    with pytest.raises(UnreadableParsesError, match="removed now, so run it again"), parse_cache():
        raise UnreadableParsesError
    assert not (folder / "data.mdb").exists()


def test_a_failed_run_keeps_sealed_parses(folder: Path) -> None:
    with pytest.raises(UnreadableParsesError, match="if that happens again, remove"), parse_cache():
        raise UnreadableParsesError
    with parse_cache() as again:
        assert (again / "data.mdb").exists()


def test_another_process_waits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entered = threading.Event()

    def other() -> None:
        with parse_cache():
            entered.set()

    waiting = threading.Thread(target=other)
    with parse_cache():
        waiting.start()
        assert not entered.wait(0.7)
    waiting.join(10)
    assert entered.is_set()
    assert f"waiting for another process that uses {folder}" in capsys.readouterr().err


def test_after_a_minute_it_works_in_a_folder_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.measures.spice.parses._PATIENCE", 0.2)
    with parse_cache(), parse_cache() as elsewhere:
        assert elsewhere != folder
        (elsewhere / "data.mdb").write_bytes(b"others")
    assert not elsewhere.exists()
    assert (folder / "data.mdb").read_bytes() == b"parses"
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"SPICE: waiting for another process that uses {folder}: process {os.getpid()} (")
    still = f"SPICE: {folder} is still in use after 0 s, so parses are not cached"
    assert said[1].startswith(f"{still}: process {os.getpid()} (")


def test_a_folder_that_cannot_be_written(lookbook_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lookbook_cache / "spice").write_text("in the way")
    with parse_cache() as elsewhere:
        assert elsewhere.is_dir()
        assert lookbook_cache not in elsewhere.parents
    assert not elsewhere.exists()
    assert "cannot be written or locked (Not a directory), so parses are not cached" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="locks otherwise")
def test_a_folder_that_cannot_be_locked(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with parse_cache() as elsewhere:
        assert folder not in (elsewhere, *elsewhere.parents)
    assert "cannot be written or locked (No locks available), so parses are not cached" in capsys.readouterr().err
    assert (folder / "data.mdb").read_bytes() == b"parses"


WAITING = """
import sys, threading
from metrics import UserError
from metrics.common.parallel import side_by_side
from metrics.measures.spice.parses import parse_cache

def wait():
    with parse_cache():
        pass

def fail():
    sys.stdin.readline()
    raise UserError("the other measure")

try:
    side_by_side([wait, fail])
except (UserError, KeyboardInterrupt) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("end", ["failure", "interrupt"])
def test_a_wait_ends_when_another_measure_fails_or_the_run_is_interrupted(folder: Path, end: str) -> None:
    pipe = subprocess.PIPE
    with (
        parse_cache(),
        subprocess.Popen([sys.executable, "-c", WAITING], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process,
    ):
        assert process.stderr is not None
        assert "waiting for another process" in process.stderr.readline()
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
            time.sleep(1)
        try:
            output, _ = process.communicate("\n", timeout=20)
        finally:
            process.kill()
    assert output.strip() == ("KeyboardInterrupt" if end == "interrupt" else "UserError the other measure")
