"""Photos that cannot be read: the rest is captioned, and they are named."""

import os
from pathlib import Path

import pytest
from tiny import finetune, lines, photo
from tiny_models import write_tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("unreadable") / "base")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, one of them with a Latin-1 name, a text called .jpg and a pipe."""
    photo(tmp_path / "shop" / "a.png")
    photo(tmp_path / "shop" / "b.jfif.png").rename(tmp_path / "shop" / "b.jfif")
    photo(tmp_path / "c.png").rename(tmp_path / "shop" / os.fsdecode(b"caf\xe9.png"))
    (tmp_path / "shop" / "text.jpg").write_text("no picture")
    os.mkfifo(tmp_path / "shop" / "pipe.jpg")
    return tmp_path / "shop"


def test_of_a_folder_the_rest_is_captioned(base: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "captions.jsonl"
    result = finetune("caption", "--model", base, "--data", folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert [record["id"] for record in lines(out)] == ["a.png", "b.jfif"]
    for problem in (
        "note: 3 photo(s) cannot be used and have no caption",
        "caf\\xe9.png: its name is not UTF-8",
        "text.jpg: not an image",
        "pipe.jpg: a pipe, not a file",
    ):
        assert problem in result.stderr


def test_of_photos_on_the_command_line_too(base: Path, folder: Path) -> None:
    names = [folder / "a.png", folder / "text.jpg", folder / os.fsdecode(b"caf\xe9.png")]
    result = finetune("caption", "--model", base, *names)
    assert result.exit_code == 0, result.output
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == [
        str(folder / "a.png"),
        str(folder / "caf\\udce9.png"),
    ]
    assert f"{folder / 'text.jpg'}: not an image" in result.stderr
    result = finetune("caption", "--model", base, folder / "text.jpg")
    assert (result.exit_code, result.stderr) == (2, f"error: {folder / 'text.jpg'}: not an image\n")


def test_a_folder_on_the_command_line_is_told_from_a_photo(base: Path, folder: Path) -> None:
    result = finetune("caption", "--model", base, folder)
    assert result.exit_code == 2
    assert f"{folder}: a folder; give it by --data" in result.stderr
