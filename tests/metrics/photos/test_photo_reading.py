"""Photos of anybody's files: their format by content, bounded work, pixels whatever their EXIF."""

import os
import struct
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics.common.errors import UserError
from metrics.common.files import json_lines, read_json_object, sha256
from metrics.photos import reading
from metrics.photos.colours import to_rgb
from metrics.photos.formats import FORMATS, format_of, formats
from metrics.photos.reading import PhotoError, load_photo, opened, read_photo
from metrics.photos.work import Budget

ORIENTATION = 0x0112


def encoded(form: str = "JPEG", size: tuple[int, int] = (24, 16), **options: bytes) -> bytes:
    buffer = BytesIO()
    lossless = {"lossless": True} if form == "WEBP" else {}
    Image.new("RGB", size, (200, 40, 90)).save(buffer, form, **lossless, **options)
    return buffer.getvalue()


def exif(kind: int, count: int, value: bytes, tag: int = ORIENTATION) -> bytes:
    """A block of EXIF with one tag."""
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHL4sL", 1, tag, kind, count, value, 0)


@pytest.mark.parametrize("form", sorted(set(FORMATS) & set(formats())))
@pytest.mark.parametrize("name", ["photo", "photo.txt", "photo.eps"])
def test_the_content_decides_what_a_photo_is(tmp_path: Path, form: str, name: str) -> None:
    content = encoded(form)
    (tmp_path / name).write_bytes(content)
    assert format_of(content[:64]) == form
    assert load_photo(tmp_path / name).size == (24, 16)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
        (b"P6 1 1 255 \x00\x00\x00", "not an image"),
        (b"A list of cars", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which the extra heic reads: pip install"),
        (b"\x89PNG\r\n\x1a\n", "broken image"),
    ],
    ids=["postscript", "map", "text", "heic", "stub"],
)
def test_what_is_none_of_these_formats_is_not_opened(tmp_path: Path, content: bytes, reason: str) -> None:
    if "heic" in reason and "HEIF" in formats():
        pytest.skip("the extra heic is installed")
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(PhotoError) as caught:
        read_photo(tmp_path / "photo.jpg")
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "block",
    [
        exif(12, 1_000, b"\0\0\0\x08"),
        exif(2, 4, b"six\0"),
        exif(5, 1, b"\0\0\xff\xff"),
        exif(3, 2, b"\0\x06\0\x06"),
        exif(3, 1, b"\0\x63\0\0"),
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0nothing",
    ],
    ids=["doubles", "text", "ratio", "two", "99", "nowhere", "no header"],
)
def test_damaged_exif_costs_no_pixels(form: str, block: bytes) -> None:
    photo = load_photo(encoded(form, exif=block))
    assert np.abs(np.asarray(photo, dtype=int) - [200, 40, 90]).max() <= 4
    assert sorted(photo.size) == [16, 24]


def test_a_photo_on_its_side_is_set_upright() -> None:
    assert load_photo(encoded(exif=exif(3, 1, b"\0\x06\0\0"))).size == (16, 24)


def test_16_bit_photos_become_8_bit_in_tiles() -> None:
    tracemalloc.start()
    try:
        assert to_rgb(Image.new("I;16", (3000, 2500), 257)).getpixel((2999, 2499)) == (1, 1, 1)
        assert tracemalloc.get_traced_memory()[1] < 80e6  # as a whole they take 180 MB
    finally:
        tracemalloc.stop()


def test_large_photos_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six photos of 384 pixels with room for 1,000: two at once, never more."""
    monkeypatch.setattr(reading, "DECODING", Budget(1_000))
    content, lock, now, most = encoded("PNG"), threading.Lock(), 0, 0

    def read(_: int) -> None:
        nonlocal now, most
        with opened(content):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.02)
            with lock:
                now -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read, range(6)))
    assert most == 2


def test_a_photo_larger_than_the_budget_is_read_alone() -> None:
    with Budget(100).spent(1_000):
        pass


def test_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "photo.jpg"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=r"photo\.jpg: a pipe, not a file; replace or remove the file"):
        load_photo(pipe)
    for read in (sha256, lambda path: read_json_object(path, "remedy"), lambda path: list(json_lines(path))):
        with pytest.raises(UserError, match=r"photo\.jpg: expected a file, found a pipe"):
            read(pipe)
