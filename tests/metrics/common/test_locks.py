"""A lock names the process that holds it, to who waits and to who is refused."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from metrics import UserError
from metrics.common.locks import acquire, holder, refusing_others

HOLDING = """
import sys
from pathlib import Path
from metrics.common.locks import acquire
lock = acquire(Path(sys.argv[1]), "")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.processes
def test_another_process_that_holds_it_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, pipe = tmp_path / ".lock", subprocess.PIPE
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        named = rf"in use: process {process.pid} \({re.escape(sys.executable)} -c .*, started 20\d\d-.*; wait$"
        with pytest.raises(UserError, match=named), refusing_others(path, "in use", "wait"):
            pass
        process.communicate("\n")
    acquire(path, "waiting").release()
    assert capsys.readouterr().err == ""


def test_a_lock_that_does_not_say_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with refusing_others(path, "", ""):
        assert holder(path).startswith(f"process {os.getpid()} (")
        for text in ("", "1 2 3", f"4194305 1.00 {platform.node()}", "\x1b[2J 1.00 x"):
            path.write_text(text)
            assert holder(path) == "it does not say which"
        path.write_text("4711 1764514931.25 gpu-7")
        assert holder(path) == "process 4711 on gpu-7"


def test_what_somebody_wrote_into_the_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("not ours")
    with refusing_others(path, "", ""):
        pass
    assert path.read_text() == "not ours"
