"""Photos that cannot be read: the rest is captioned, and they are named."""

import os
from pathlib import Path

import pytest
from PIL import Image
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
        "note: 3 photo(s) cannot be used and are left out",
        "caf\\xe9.png: its name is not UTF-8",
        "text.jpg: not an image",
        "pipe.jpg: a pipe, not a file",
    ):
        assert problem in result.stderr


@pytest.mark.parametrize("command", ["caption", "fill", "embed"])
def test_files_that_are_no_photos_are_counted(base: Path, folder: Path, tmp_path: Path, command: str) -> None:
    """Whatever a folder is read for, as `prepare` does; and so are its broken photos."""
    Image.new("RGB", (8, 8)).save(folder / "scan.ppm")
    (folder / "readme.txt").write_text("no picture")
    arguments = {
        "caption": ["--model", base, "--data", folder, "--out", tmp_path / "captions.jsonl"],
        "fill": [folder, "--model", base, "--out", tmp_path / "filled"],
        "embed": [folder, "--encoder", "efficientnet-lite0", "--resolution", 32, "--out", tmp_path / "store"],
    }
    result = finetune(command, *arguments[command])
    assert result.exit_code == 0, result.output
    assert "2 left out: no photo (readme.txt, scan.ppm)" in " ".join(result.output.split())
    assert "note: 3 photo(s) cannot be used and are left out" in result.stderr
    assert "text.jpg: not an image" in result.stderr


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
