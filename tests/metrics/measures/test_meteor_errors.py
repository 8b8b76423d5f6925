"""What can go wrong around the official METEOR jar: a message, never a wrong number, a wait or a process left behind."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from metrics import CaptionRecord, UserError
from metrics.measures.meteor import aligner as jar
from metrics.measures.meteor.paraphrases import cut_table

LINES = [("a soft dress with pockets", "soft skirts with a pocket"), ("the jacket is red", "a red coat")]
SHIPPED = jar._folder
BUSY = [
    CaptionRecord(str(number), f"{number} " + "soft wide dress " * 25, references=("soft wide dress " * 25,))
    for number in range(2000)
]
pytestmark = [pytest.mark.java, pytest.mark.usefixtures("short_meteor")]


def test_the_cache_may_be_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = jar.align(LINES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKBOOK_CACHE", "a cache")
    assert jar.align(LINES).tolist() == expected.tolist()
    assert list((tmp_path / "a cache").iterdir())


def test_a_damaged_cut_table_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOOKBOOK_CACHE", str(tmp_path))
    table = cut_table(jar._folder() / jar._TABLE, {"soft", "smooth", "qwd", "qwe"})
    assert gzip.decompress(table.read_bytes()) == b"0.5\nsoft\nsmooth\n"
    whole = table.read_bytes()
    for damaged in (b"", whole[:-9], gzip.compress(b""), gzip.compress(b"0.5\nsoft\nsmooth\n0.1\nsoft\nqwd\n")):
        table.write_bytes(damaged)
        assert cut_table(jar._folder() / jar._TABLE, {"soft", "smooth", "qwd", "qwe"}) == table
        assert table.read_bytes() == whole
        assert f"note: {table}: is damaged; it is made again" in capsys.readouterr().err


@pytest.mark.parametrize("damaged", ["cut off", "within an entry"])
def test_a_damaged_table_is_refused(tmp_path: Path, damaged: str) -> None:
    full = tmp_path / "paraphrase.gz"
    whole = gzip.compress(b"0.5\nsoft\nsmooth\n" + b"0.5\n" * (damaged == "within an entry"))
    full.write_bytes(whole[:-9] if damaged == "cut off" else whole)
    with pytest.raises(UserError, match=rf"cannot read {full}: .*pip install --force-reinstall pycocoevalcap"):
        cut_table(full, {"soft", "smooth"})


def test_no_place_for_the_cut_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOKBOOK_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot make .*file/meteor: .*set LOOKBOOK_CACHE"):
        jar.align(LINES)


def test_no_java_and_no_jar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.text.java.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"meteor-1\.5\.jar or data/.* is missing; .*pip install pycocoevalcap"):
        SHIPPED()
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(UserError, match="JAVA_HOME is /nowhere"):
        jar.align(LINES)


def test_java_that_runs_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    jar.align(LINES)
    monkeypatch.setenv("_JAVA_OPTIONS", "-Xmx5m")
    with pytest.raises(UserError, match=r"(?s)failed with exit code 1.*OutOfMemoryError"):
        jar.align(LINES)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Java is a shell script")
def test_java_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jar.align(LINES)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text('#!/bin/sh\n[ "$1" = -version ] && exit 0\nexec sleep 60\n')
    (tmp_path / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(jar, "_SECONDS", 1.0)
    with pytest.raises(UserError, match="did not end within 1 s"):
        jar.align(LINES)


def test_a_wrong_number_of_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jar, "run_all", lambda *_: [b"1.0 2.0\n"])
    with pytest.raises(UserError, match="1 lines with 2 values for 2 captions"):
        jar.align(LINES)


def javas(parent: int) -> list[int]:
    """Return the METEOR processes that `parent` started, and that align."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, of, call in rows if int(of) == parent and "-stdio" in call and " -a " in call]


def await_javas(parent: int) -> list[int]:
    for _ in range(300):
        if children := javas(parent):
            return children
        time.sleep(0.1)
    raise AssertionError("METEOR was not started")


def lines_of(records: Sequence[CaptionRecord]) -> list[tuple[str, ...]]:
    return [(*record.references, record.caption or "") for record in records]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_java_ends_the_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jar, "_LINES_A_JVM", 100)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            jar.align(lines_of(BUSY))
        except UserError as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started = await_javas(os.getpid())
    os.kill(started[0], signal.SIGKILL)
    thread.join(30)
    assert not thread.is_alive()
    assert "was killed, often by the system when memory runs out" in str(failed[0])
    assert javas(os.getpid()) == []


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_java_outlives_us(short_meteor: Path, sent: signal.Signals) -> None:
    code = (
        "import metrics, test_meteor_errors as t, metrics.measures.meteor.aligner as jar; from metrics.measures.meteor.measure import Meteor\n"
        "import pathlib; jar._LINES_A_JVM = 100; jar._folder = lambda: pathlib.Path(t.sys.argv[1])\n"
        "metrics.score_captions(t.BUSY, measures=[Meteor()])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", code, str(short_meteor)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    started = await_javas(process.pid)
    process.send_signal(sent)
    assert process.wait(30) != 0
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
