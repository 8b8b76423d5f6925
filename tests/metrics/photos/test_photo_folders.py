"""Other people's captions, scores and stores cannot choose which folders of this machine photos are read from."""

import json
from pathlib import Path

import pytest
from caption_files import row, write_system
from PIL import Image
from scored_folders import Given

from metrics.photos.folders import folder_named, is_inside, photo_path, remember_folder
from metrics.records.caption_sets import load_systems
from metrics.reports.report import write_report
from metrics.scoring.suite import score_systems


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder of photos that no recipe names."""
    (tmp_path / "private").mkdir()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "private" / "passport.png")
    return tmp_path / "private"


@pytest.fixture
def captions(tmp_path: Path, private: Path) -> Path:
    """Somebody's captions, whose run.json names that folder."""
    rows = [row(0, "a dress", "a dress", image="passport.png")]
    return write_system(tmp_path / "sent", rows, system="theirs", catalogue={"folder": str(private)})


def report(captions: Path, out: Path, images: Path | None = None) -> str:
    evaluation = score_systems(load_systems([captions]), None, [Given({"CIDEr": [[1.0]]}, {})])
    return write_report(evaluation, out, images=images).read_text(encoding="utf-8")


def test_captions_do_not_choose_the_folder(captions: Path, private: Path, tmp_path: Path) -> None:
    assert "data:image/jpeg" not in report(captions, tmp_path / "one")
    assert "data:image/jpeg" in report(captions, tmp_path / "two", private)
    remember_folder(private, outside=False)
    assert "data:image/jpeg" in report(captions, tmp_path / "three")


def test_photos_beside_the_captions_are_theirs(captions: Path, private: Path, tmp_path: Path) -> None:
    private.rename(captions.parent / "photos")
    run = json.loads(captions.with_name("run.json").read_text())
    run["catalogue"]["folder"] = str(captions.parent / "photos")
    captions.with_name("run.json").write_text(json.dumps(run))
    assert "data:image/jpeg" in report(captions, tmp_path / "out")
    (captions.parent / "photos").rename(private)
    (captions.parent / "photos").symlink_to(private)
    assert "data:image/jpeg" not in report(captions, tmp_path / "linked")


def test_links_that_leave_the_folder_are_followed_to_where_the_user_said(tmp_path: Path, private: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "linked.png").symlink_to(private / "passport.png")
    (shop / "folder").symlink_to(private)
    (shop / "inner.png").symlink_to(shop / "missing.png")
    (tmp_path / "also").symlink_to(shop)
    for folder in (shop, tmp_path / "also"):
        assert photo_path(folder, "linked.png") is None
        assert photo_path(folder, "folder/passport.png") is None
        assert photo_path(folder, "inner.png") == folder / "inner.png"
    remember_folder(shop, outside=False)
    assert photo_path(shop, "linked.png") is None
    remember_folder(shop, outside=True)
    assert photo_path(shop, "linked.png") == shop / "linked.png"
    remember_folder(shop, outside=False)
    remember_folder(private, outside=False)
    assert photo_path(tmp_path / "also", "folder/passport.png") == tmp_path / "also" / "folder" / "passport.png"


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_names_that_no_file_has_are_those_of_no_folder(tmp_path: Path, name: str) -> None:
    assert is_inside(tmp_path / name, tmp_path)
    assert folder_named(tmp_path / name, tmp_path) == tmp_path / name
    assert photo_path(tmp_path / name, "a.png") in (None, tmp_path / name / "a.png")
