"""Other people's scores: they do not choose which folder photos are shown from, and may have texts of any length."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from scored_folders import write_scored
from viewer_pages import Pages, item

from metrics.photos.folders import remember_folder


def test_scores_do_not_choose_the_folder_of_photos(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    private = tmp_path / "private"
    private.mkdir()
    Image.new("RGB", (8, 8)).save(private / "passport.png")
    items = [{**item(0), "image": "passport.png"}]
    scores = write_scored(tmp_path / "sent", items, {"a": ["a dress"]}, {"CIDEr": [[1.0]]}, images=private)
    assert "give it by --images" in " ".join(open_pages(scores).text("/photo/0").split())
    assert open_pages(scores, images=private).client.get("/photo/0").headers["content-type"] == "image/jpeg"
    remember_folder(private, outside=False)
    assert open_pages(scores).client.get("/photo/0").headers["content-type"] == "image/jpeg"


def test_long_texts_are_cut_and_said_to_be(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    long = "word " * 10_000
    scores = write_scored(tmp_path / "out", [{**item(0), "references": [long]}], {"a": [long]}, {"CIDEr": [[1.0]]})
    page = open_pages(scores).get(f"/item?id={item(0)['id']}")
    assert len(page) < 100_000
    assert page.count("… (50,000 characters)") == 2
