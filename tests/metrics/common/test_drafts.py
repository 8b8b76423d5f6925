"""Drafts: what a killed process left is removed at the next start, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dead_drafts import dead_draft

from metrics.common.drafts import draft_folder, draft_path, is_draft, remove_dead, temporary_folder
from metrics.common.files import write_text

# Makes a draft of each kind in a folder, and is killed in the middle of it.
KILLED = """
import os, signal, sys
from pathlib import Path
from metrics.common.files import atomic_file, atomic_folder
folder = Path(sys.argv[1])
with atomic_folder(folder / "model") as draft, atomic_file(folder / "table.csv") as file:
    (draft / "part").write_text("half")
    file.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.processes
def test_the_next_writer_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False).returncode < 0
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2 and all(map(is_draft, left))
    write_text(tmp_path / "other.txt", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_drafts_of_living_processes_and_of_other_machines_stay(tmp_path: Path) -> None:
    own = draft_path(tmp_path / "file")
    machine, process = own.name.split(".")[2].split("-")[:2]
    other = own.name.replace(machine, "0" * 8).replace(process, "1")
    names = [own.name, other, ".notes.draft", "file.draft", f"{own.name}.txt"]
    for name in names:
        (tmp_path / name).touch()
    remove_dead(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_process_that_has_the_id_of_a_dead_one_is_another(tmp_path: Path) -> None:
    dead = dead_draft(tmp_path / "model")
    earlier = dead.rename(dead.with_name(dead.name.replace("-999999999-", f"-{os.getpid()}-")))
    remove_dead(tmp_path)
    assert not earlier.exists()


def test_a_link_in_the_place_of_a_dead_draft_is_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").touch()
    dead = dead_draft(tmp_path / "out" / "model")
    shutil.rmtree(dead)
    dead.symlink_to(theirs)
    remove_dead(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert (theirs / "file").exists()


def test_temporary_folders_are_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder() as folder, draft_folder(tmp_path / "model") as draft:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {folder, draft} == set(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
