"""Files and folders that appear as a whole or not at all, and the reader of JSON objects."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from metrics.common.errors import UserError
from metrics.common.files import all_or_none, atomic_file, atomic_folder, read_json_object, write_text


def test_an_atomic_folder_appears_whole_and_readable_by_others(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "new" / "folder") as draft:
        (draft / "part").write_text("text")
        assert not (tmp_path / "new" / "folder").exists()
    assert (tmp_path / "new" / "folder" / "part").read_text() == "text"
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder"]


def test_an_atomic_folder_leaves_nothing_of_a_block_that_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic_folder(tmp_path / "folder") as draft:
        (draft / "part").write_text("text")
        raise KeyError("a mistake in the block")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"cannot write .*folder: No space left on device"),
        atomic_folder(tmp_path / "folder"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_made_meanwhile_stays_if_asked(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with atomic_folder(folder, keep_existing=True) as draft:
        (draft / "part").write_text("mine")
        with atomic_folder(folder) as other:
            (other / "part").write_text("theirs")
    assert (folder / "part").read_text() == "theirs"
    with pytest.raises(UserError, match=r"cannot write .*folder: Directory not empty"), atomic_folder(folder):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("name", "reason"), [("file/text.txt", "Not a directory"), (f"{'x' * 300}.txt", "File name too long")]
)
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as raised:
        write_text(tmp_path / name, "text")
    assert str(raised.value) == f"cannot write {tmp_path / name}: {reason}"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_json_object_is_read(tmp_path: Path) -> None:
    path = tmp_path / "object.json"
    path.write_text('{"a": [1, NaN], "é": null}', encoding="utf-8")
    assert read_json_object(path, "", parse_constant=lambda _: None) == {"a": [1, None], "é": None}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such file"),
        (b'{"a": 1', "expected a JSON object, found damaged text (Expecting ',' delimiter"),
        (b"\xff{}", "expected a JSON object, found damaged text ('utf-8' codec"),
        (b"[" * 100_000, "expected a JSON object, found damaged text (lists or objects nested too deeply"),
        (b"[1]", "expected a JSON object, found list"),
    ],
)
def test_a_json_file_that_is_no_object_names_itself_and_what_to_do(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "object.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_json_object(path, "write it again")
    assert str(raised.value).startswith(f"{path}: {problem}")
    assert str(raised.value).endswith("; write it again")


def test_a_json_file_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "object.json").mkdir()
    with pytest.raises(UserError, match=r"^cannot read .*object.json: Is a directory$"):
        read_json_object(tmp_path / "object.json", "remove it")


def test_files_that_belong_together_appear_together(tmp_path: Path) -> None:
    with all_or_none() as drafts:
        write_text(tmp_path / "one", "1")
        with all_or_none():
            write_text(tmp_path / "two", "2")
        write_text(tmp_path / "one", "new")
        assert drafts[tmp_path / "one"].read_text() == "new"
        assert not (tmp_path / "one").exists() and not (tmp_path / "two").exists()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one": "new", "two": "2"}


@pytest.mark.parametrize("name", ["three/file", "folder"])
def test_if_one_cannot_be_written_the_others_stay_as_they_were(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    write_text(tmp_path / "one", "old")
    with pytest.raises(UserError, match=f"cannot write .*{name}"), all_or_none():
        write_text(tmp_path / "one", "new")
        write_text(tmp_path / "two", "new")
        write_text(tmp_path / name, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "one"]
    assert (tmp_path / "one").read_text() == "old"


def test_a_file_whose_writer_failed_is_left_out(tmp_path: Path) -> None:
    with all_or_none():
        write_text(tmp_path / "one", "1")
        with suppress(KeyError), atomic_file(tmp_path / "two"):
            raise KeyError("a mistake that the writer expects")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
