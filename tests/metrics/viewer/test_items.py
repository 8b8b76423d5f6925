"""The page of an item, the photos, and the start page."""

import io
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scored_folders import write_scored
from viewer_pages import Pages, item

pytest.importorskip("starlette", reason="the extra `view` is not installed")

EVIL = "<script>alert(1)</script>&\"'<img src=x onerror=alert(1)>\u2028 \0 \ud800 {{ 7 * 7 }}"


def test_all_that_is_known_of_an_item(pages: Pages) -> None:
    text = pages.text("/item?id=004")
    for part in (
        "Product p2",
        "Category top",
        "shade dark red",
        "Reference A red top with pockets , number 4.",
        "a red top with pockets, number 4 and buttons",
        f"confidence {math.exp(-0.5):.1%}",
        "Right red , top",
        "Invented button",
        "Missed pocket",
        "Precision 66.7 2 of 3 of the caption",
        "Recall 66.7 2 of 3 of the reference",
        "Category read from it: top , right",
        "plain FT 40.0 29.0 tuned FT 80.0 50.0",
        "seen",
        "5 of 12",
    ):
        assert part in text
    assert "Category read from it: top , wrong: it is dress" in pages.text("/item?id=003")


def test_attributes_are_marked_in_the_texts(pages: Pages) -> None:
    page = pages.get("/item?id=004")
    assert 'A <b>red</b> <b>top</b> with <mark class="missed">pockets</mark>, number 4.' in page
    assert 'a <b>red</b> <b>top</b> with pockets, number 4 and <mark class="invented">buttons</mark>' in page
    # The reference is marked by what the system in focus has and misses.
    assert 'A <mark class="missed">red</mark> <mark class="missed">top</mark>' in pages.get("/item?id=004&system=plain")


def test_what_a_measure_leaves_out_is_a_dash(pages: Pages) -> None:
    assert "plain FT 30.0 – tuned FT 85.0 50.0" in pages.text("/item?id=003")


def test_an_unknown_id_says_so(pages: Pages) -> None:
    assert "No item has the id '4'" in pages.text("/item?id=4", status=404)
    assert "expected the id of an item" in pages.text("/item", status=404)
    assert "cannot be shown" in pages.text("/nowhere", status=404)


def test_captions_that_are_missing_or_empty(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    folder = write_scored(tmp_path / "scores", [item(0)], {"tuned": [" "]}, {"CIDEr": [[0.0]]})
    assert "empty" in open_pages(folder).text("/item?id=000")
    rows = (folder / "items.jsonl").read_text(encoding="utf-8").replace('"caption": " "', '"caption": null')
    (folder / "items.jsonl").write_text(rows, encoding="utf-8")
    assert "no caption" in open_pages(folder).text("/item?id=000")


def test_start(pages: Pages) -> None:
    text = pages.text("/")
    assert "Captions of shop 12 items, 6 seen, 6 unseen; 2 systems." in text
    # The means of number / 10 and of 1 - number / 20 for 0..11.
    assert "plain FT 55.0 29.0 tuned FT 72.5 50.0" in text
    for link in ('href="/items?first=20"', 'href="/items?products=3"', 'href="/items?sort=disagreement"'):
        assert link in pages.get("/")
    assert pages.ids("first=20") == list(range(12))


def test_text_from_files_is_never_markup(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    one = {
        "id": EVIL,
        "product_id": EVIL,
        "image": EVIL,
        "references": [EVIL],
        "category": EVIL,
        "attributes": {EVIL: EVIL},
        "seen": True,
    }
    folder = write_scored(
        tmp_path / "scores",
        [one],
        {EVIL: [EVIL], "b": [EVIL]},
        {"CIDEr": [[1.0], [0.5]]},
        tmp_path / EVIL.replace("/", "").replace("\0", "").replace("\ud800", ""),
        predicted=[[EVIL], [EVIL]],
        attributes=[[{"right": [EVIL, "script"], "invented": [EVIL], "missed": [EVIL]}]] * 2,
    )
    pages = open_pages(folder)
    one_item = pages.get("/items").split('<td class="thumb"><a href="')[1].split('"')[0].replace("&amp;", "&")
    paths = ["/", "/items", "/items?view=gallery", "/items?view=plots", one_item, "/photo/0", "/item?id=" + EVIL[:20]]
    for path in paths:
        response = pages.client.get(path)
        assert response.status_code in (200, 404), path
        assert "<script" not in response.text
        assert "<img src=x" not in response.text
        assert "49" not in response.text
    assert "alert(1)" in pages.get(one_item)


def test_photos_are_written_anew(pages: Pages, scored: Path) -> None:
    for size, pixels in (("small", (160, 240)), ("large", (300, 450))):
        response = pages.client.get(f"/photo/2?size={size}")
        assert response.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(response.content)) as shown:
            assert shown.size == pixels
    pages.get("/photo/12", status=404)
    pages.get("/photo/2?size=huge", status=404)
    assert "photo not found" in pages.get("/photo/5")


def test_photos_stay_within_their_folder(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    Image.new("RGB", (10, 10)).save(tmp_path / "secret.png")
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    (images / "folder").symlink_to(tmp_path, target_is_directory=True)
    (images / "circle.png").symlink_to(images / "circle.png")
    (images / "text.jpg").write_text("no picture")
    (images / "drawn.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    Image.effect_noise((300, 300), 50).save(images / "whole.jpg")
    (images / "cut.jpg").write_bytes((images / "whole.jpg").read_bytes()[:2000])
    os.mkfifo(images / "pipe.jpg")
    Image.new("1", (8000, 8000)).save(images / "large.png")
    problems = {
        "../secret.png": "outside",
        "sub/../../secret.png": "outside",
        str(tmp_path / "secret.png"): "outside",
        "link.png": "outside",
        "folder/secret.png": "outside",
        "nul\0.jpg": "outside",
        "../secret.hdf5/0": "outside",
        "circle.png": "cannot be read",
        "long" * 100: "cannot be read",
        "lone\ud800.jpg": "cannot be read",
        "text.jpg": "cannot be read",
        "drawn.eps": "cannot be read",
        "cut.jpg": "cannot be read",
        "gone.jpg": "not found",
        "gone.hdf5/0": "not found",
        "sub": "cannot be read",
        "pipe.jpg": "a pipe, not a file",
        "large.png": "larger than 50 million pixels",
        None: "has no photo",
    }
    items = [{**item(number), "image": image} for number, image in enumerate(problems)]
    folder = write_scored(tmp_path / "scores", items, {"a": ["a"] * len(items)}, {"CIDEr": [[1.0] * len(items)]})
    pages = open_pages(folder, images=images)
    for number, (image, reason) in enumerate(problems.items()):
        response = pages.client.get(f"/photo/{number}")
        assert response.headers["content-type"] == "image/svg+xml", image
        assert reason in response.text, image


def test_photos_of_hdf5_files(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "train.hdf5", "w") as file:
        file["images"] = np.full((1, 3, 8, 6), 200, dtype=np.uint8)
    items = [{**item(number), "image": f"train.hdf5/{number}"} for number in range(2)]
    folder = write_scored(tmp_path / "scores", items, {"a": ["a"] * 2}, {"CIDEr": [[1.0] * 2]})
    pages = open_pages(folder, images=tmp_path)
    with Image.open(io.BytesIO(pages.client.get("/photo/0").content)) as shown:
        assert shown.size == (6, 8)
    assert "cannot be read" in pages.get("/photo/1")


def test_without_a_folder_of_photos(tmp_path: Path, open_pages: Callable[..., Pages]) -> None:
    folder = write_scored(tmp_path / "scores", [item(0)], {"a": ["a"]}, {"CIDEr": [[1.0]]})
    assert "give it by --images" in " ".join(open_pages(folder).text("/photo/0").split())
    photos = tmp_path / "photos"
    photos.mkdir()
    pages = open_pages(folder, images=photos)
    shutil.rmtree(photos)
    assert "no folder" in pages.text("/photo/0")


@pytest.mark.parametrize(
    "path", ["/", "/items", "/item?id=001", "/photo/1", "/photo/5", "/style.css", "/items?min=x", "/no"]
)
def test_no_page_runs_scripts_or_loads_from_elsewhere(pages: Pages, path: str) -> None:
    response = pages.client.get(path)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script" not in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in response.text
    assert "style=" not in response.text
    assert "http" not in response.text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "[::1]", ""])
def test_other_hosts_are_refused(pages: Pages, host: str) -> None:
    assert pages.client.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost:1"])
def test_this_machine_is_not(pages: Pages, host: str) -> None:
    assert pages.client.get("/", headers={"host": host}).status_code == 200


def test_an_extension_adds_pages_links_and_a_form(scored: Path, open_pages: Callable[..., Pages]) -> None:
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    from metrics.viewer.viewer import Extension, viewer_of

    def note(request: Request) -> Response:
        if request.method == "POST":
            return PlainTextResponse("written")
        if "fail" in request.query_params:
            raise RuntimeError("secret")
        return PlainTextResponse(f"{len(viewer_of(request).index)} items")

    extension = Extension(
        routes=[Route("/note", note, methods=["GET", "POST"])],
        links={"Notes <b>": "/note"},
        parameters=["rater"],
        item_form="error.html.j2",
        item_view=lambda request, place: {"message": f"{request.query_params.get('rater')} at {place}"},
    )
    pages = open_pages(scored, extensions=[extension])
    assert pages.get("/note") == "12 items"
    assert "Notes <b>" in pages.text("/")
    assert "anna at 3" in pages.text("/item?id=003&rater=anna")
    assert "rater=anna" in (pages.following("/item?id=003&rater=anna", "next") or "")
    assert 'href="/items?rater=anna"' in pages.get("/item?id=003&rater=anna")
    assert 'href="/item?rater=anna&amp;id=003"' in pages.get("/items?rater=anna")
    failed = pages.client.get("/note?fail=1")
    assert failed.status_code == 500
    assert "This page failed: RuntimeError" in failed.text
    assert "secret" not in failed.text
    assert failed.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (None, "127.0.0.1:8765", 405),
        ("http://127.0.0.1:8765", "127.0.0.1:8765", 405),
        ("http://localhost:8765", "localhost:8765", 405),
        ("http://localhost:8765", "127.0.0.1:8765", 403),
        ("http://127.0.0.1:8766", "127.0.0.1:8765", 403),
        ("https://127.0.0.1:8765", "127.0.0.1:8765", 403),
        ("null", "127.0.0.1:8765", 403),
        ("http://evil.example", "127.0.0.1:8765", 403),
        ("http://evil.example", "evil.example", 400),
    ],
)
def test_only_own_pages_may_write(pages: Pages, origin: str | None, host: str, status: int) -> None:
    headers: dict[str, Any] = {"host": host} | ({"origin": origin} if origin else {})
    assert pages.client.post("/", headers=headers).status_code == status
