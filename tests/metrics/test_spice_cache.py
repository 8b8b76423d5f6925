"""The folder of parses: one user at a time, whole or made again."""

import threading
from pathlib import Path

import pytest

from metrics.spice_cache import UnreadableParsesError, parse_cache


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
    assert "damaged or not its own; they are made again" in capsys.readouterr().err


def test_a_run_that_was_killed_leaves_parses_that_are_kept_if_they_can_be_read(folder: Path) -> None:
    (folder / "seal").write_text("open")
    with parse_cache() as again:
        assert (again / "data.mdb").read_bytes() == b"parses"
    (folder / "seal").write_text("open")
    with pytest.raises(UnreadableParsesError), parse_cache():
        raise UnreadableParsesError
    assert not (folder / "data.mdb").exists()


def test_a_failed_run_keeps_sealed_parses(folder: Path) -> None:
    with pytest.raises(UnreadableParsesError), parse_cache():
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


def test_a_folder_that_cannot_be_written(lookbook_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lookbook_cache / "spice").write_text("in the way")
    with parse_cache() as elsewhere:
        assert elsewhere.is_dir()
        assert lookbook_cache not in elsewhere.parents
    assert not elsewhere.exists()
    assert "cannot be written, so parses are not kept" in capsys.readouterr().err
