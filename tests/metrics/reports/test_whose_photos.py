"""Which photos `score` shows: those of folders that the user has named; the way on that it says leads on."""

from pathlib import Path

import pytest
from caption_files import reference, row, write_system
from PIL import Image
from typer.testing import CliRunner

from metrics.__main__ import app
from metrics.photos.folders import remember_folder

pytestmark = pytest.mark.java
PHOTO = "data:image/jpeg"


def score(captions: Path, out: Path, *options: object) -> tuple[int, str, str]:
    """The exit code, all that is said, and the page."""
    arguments = ["score", captions, "--measure", "ROUGE-L", "--out", out, *options]
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "400"})
    assert "Traceback" not in result.output
    page = out / "report.html"
    return result.exit_code, result.output, page.read_text(encoding="utf-8") if page.exists() else ""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "shop" / "p1.jpg")
    return tmp_path / "shop"


def sent(folder: Path, photos: Path, image: str) -> Path:
    """Captions of somebody, whose run.json names a folder of photos."""
    return write_system(folder, [row(0, "a dress", reference(0), image=image)], catalogue={"folder": str(photos)})


def test_the_folder_is_given_as_advised(shop: Path, tmp_path: Path) -> None:
    captions = sent(tmp_path / "sent", shop, "p1.jpg")
    code, said, page = score(captions, tmp_path / "out")
    assert (code, PHOTO in page) == (0, False)
    assert f"names {shop}, which was not used here: give it by --images" in said
    code, said, page = score(captions, tmp_path / "out", "--images", shop)
    assert (code, PHOTO in page) == (0, True), said


def test_the_folder_that_is_given_must_be_there(shop: Path, tmp_path: Path) -> None:
    captions = sent(tmp_path / "sent", shop, "p1.jpg")
    code, said, page = score(captions, tmp_path / "out", "--images", tmp_path / "none")
    assert (code, page) == (2, "")
    assert f"--images {tmp_path / 'none'}: no such folder" in said


def test_links_of_others_lead_only_to_folders_that_were_used_here(shop: Path, tmp_path: Path) -> None:
    """Whether the link is the folder itself, or in the name of a photo."""
    as_folder = sent(tmp_path / "one", tmp_path / "one" / "linked", "p1.jpg")
    as_photo = sent(tmp_path / "two", tmp_path / "two", "linked/p1.jpg")
    for captions in (as_folder, as_photo):
        (captions.parent / "linked").symlink_to(shop)
        assert PHOTO not in score(captions, captions.parent / "before")[2]
    remember_folder(shop, outside=False)
    for captions in (as_folder, as_photo):
        assert PHOTO in score(captions, captions.parent / "after")[2]
