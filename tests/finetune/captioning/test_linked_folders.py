"""A folder of links: whatever reads it says how photos outside are read, and that way leads on."""

from pathlib import Path
from typing import Any

import pytest
from tiny import finetune, lines, photo
from tiny_models import write_tiny

from finetune.data.feature_cache import FeatureStore

TRUSTED = ("--set", "data.outside=read")
SHORT = ("--set", "decoding.max_new_tokens=1")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("linked") / "base")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo, and a link to one in another folder."""
    photo(tmp_path / "shop" / "own.png")
    photo(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "shop" / "linked.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    return tmp_path / "shop"


def arguments(command: str, base: Path, folder: Path, out: Path) -> list[Any]:
    return {
        "caption": ["caption", "--model", base, "--data", folder, "--out", out / "captions.jsonl", *SHORT],
        "fill": ["fill", folder, "--model", base, "--out", out, *SHORT],
        "embed": ["embed", folder, "--encoder", "efficientnet-lite0", "--resolution", 32, "--out", out],
    }[command]


def ids(command: str, out: Path) -> list[str]:
    """The ids of what a command wrote."""
    if command == "embed":
        return sorted(FeatureStore.open(out).ids)
    return sorted(record["id"] for record in lines(out / "captions.jsonl"))


@pytest.mark.parametrize("command", ["caption", "fill", "embed"])
def test_photos_where_links_lead_are_read_when_told_to(command: str, base: Path, folder: Path, tmp_path: Path) -> None:
    """Also after the folder was prepared without them, and not without being told to after that."""
    for name, told, read in (
        ("before", (), ["own.png"]),
        ("told", TRUSTED, ["linked.png", "own.png"]),
        ("after", (), ["own.png"]),
    ):
        result = finetune(*arguments(command, base, folder, tmp_path / name), *told)
        assert result.exit_code == 0, result.output
        assert ids(command, tmp_path / name) == read
        assert ("for a folder --set data.outside=read" in result.stderr) == (not told)


@pytest.mark.parametrize("command", ["caption", "fill", "embed"])
def test_other_keys_and_values_are_refused(command: str, base: Path, folder: Path, tmp_path: Path) -> None:
    for change, message in (
        ("data.outside=perhaps", "outside: expected 'refuse' or 'read', found 'perhaps'"),
        ("data.limit=1", "--set data.limit=1: changes a recipe, and none is given; without one only"),
    ):
        result = finetune(*arguments(command, base, folder, tmp_path / "out"), "--set", change)
        assert (result.exit_code, "Traceback" in result.output) == (2, False)
        assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_photo_on_the_command_line_is_in_no_folder(base: Path, folder: Path) -> None:
    result = finetune("caption", "--model", base, *TRUSTED, folder / "own.png")
    assert result.exit_code == 2
    assert "without one only decoding.KEY=VALUE can be set" in result.stderr
