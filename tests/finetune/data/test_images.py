"""Photos of every kind are read as the RGB a person would see; broken ones are found and named."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import photo

from finetune.data.photo_check import check_photos
from metrics.common.errors import UserError
from metrics.photos.reading import MOST_PIXELS, load_photo

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (90, 60, 3), dtype=np.uint8))


def pixels(path: Path) -> list[list[int]]:
    """What `load_photo` makes of the first row of pixels."""
    image = load_photo(path)
    assert image.mode == "RGB"
    return np.asarray(image)[0].tolist()  # type: ignore[no-any-return]


def save(path: Path, mode: str, values: Any, dtype: type = np.uint8) -> Path:
    array = np.array([values], dtype=dtype)
    size = (array.shape[1], 1)
    Image.frombytes(mode, size, array.tobytes()).save(path)
    return path


def encoded(image: Image.Image, form: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_grey_is_grey(tmp_path: Path) -> None:
    assert pixels(save(tmp_path / "grey.png", "L", [0, 7, 255])) == [[0] * 3, [7] * 3, [255] * 3]


def test_black_and_white_stays_so(tmp_path: Path) -> None:
    Image.frombytes("1", (2, 1), b"\x40").save(tmp_path / "bits.png")
    assert pixels(tmp_path / "bits.png") == [[0] * 3, [255] * 3]


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (200, 1), (32896, 128), (65535, 255)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_values_are_scaled_by_257(tmp_path: Path, suffix: str, value: int, expected: int) -> None:
    path = save(tmp_path / f"deep.{suffix}", "I;16", [value, value], np.uint16)
    assert pixels(path) == [[expected] * 3] * 2


def test_floating_point_greys_reach_from_black_to_white(tmp_path: Path) -> None:
    assert pixels(save(tmp_path / "float.tif", "F", [0, 0.5, 1], np.float32)) == [[0] * 3, [128] * 3, [255] * 3]
    assert pixels(save(tmp_path / "wide.tif", "F", [0, 20, 255], np.float32)) == [[0] * 3, [20] * 3, [255] * 3]


def test_palette_colours_are_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    image.save(tmp_path / "palette.png")
    image.save(tmp_path / "clear.png", transparency=0)
    assert pixels(tmp_path / "palette.png") == [[200, 100, 50], [10, 20, 30]]
    assert pixels(tmp_path / "clear.png") == [[200, 100, 50], [255, 255, 255]]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    path = save(tmp_path / "rgba.png", "RGBA", [[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 51]])
    assert pixels(path) == [[255, 0, 0], [255, 255, 255], [255, 204, 204]]  # 51 / 255 is a fifth
    grey = save(tmp_path / "la.png", "LA", [[100, 255], [100, 0], [0, 51]])
    assert pixels(grey) == [[100] * 3, [255] * 3, [204] * 3]


def test_cmyk_is_ink_not_light(tmp_path: Path) -> None:
    inks = [[0, 255, 255, 0], [255, 0, 255, 0], [0, 0, 0, 0], [0, 0, 0, 255]]
    expected = [[255, 0, 0], [0, 255, 0], [255, 255, 255], [0, 0, 0]]
    assert pixels(save(tmp_path / "ink.tif", "CMYK", inks)) == expected


def test_a_cmyk_jpeg_is_ink_too(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "ink.jpg", quality=95)
    assert np.abs(np.array(pixels(tmp_path / "ink.jpg")) - [255, 0, 0]).max() <= 3


def test_a_camera_s_turned_photo_is_turned_back(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    image.putpixel((1, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    assert pixels(tmp_path / "turned.png") == [[0, 0, 255], [255, 0, 0]]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.jpg", b"no picture at all", "not an image"),
        ("empty.png", b"", "not an image"),
        ("cut.jpg", encoded(NOISE, "JPEG")[:-900], "broken image"),
        ("huge.png", png_header(MOST_PIXELS // 10_000 + 1, 10_000), "larger than 100 million pixels"),
        ("bomb.png", png_header(60_000, 60_000), "larger than 100 million pixels"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_broken_photo_is_named_with_its_fault(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_photo(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert str(caught.value).endswith("replace or remove the file")
    assert check_photos([path, content], "checking").broken[0].startswith(reason)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"away\.jpg: no such file; replace or remove the file"):
        load_photo(tmp_path / "away.jpg")


def test_find_broken_gives_the_positions_of_the_broken_ones(tmp_path: Path) -> None:
    whole, text = photo(tmp_path / "whole.jpg"), tmp_path / "text.jpg"
    text.write_text("text")
    assert check_photos([whole, text, whole, tmp_path / "away.jpg"], "checking").broken.keys() == {1, 3}
    assert check_photos([], "checking").broken == {}


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(["JPEG", "PNG"]))
def test_a_photo_cut_off_anywhere_is_found(data: st.DataObject, form: str) -> None:
    whole = encoded(NOISE, form)
    length = data.draw(st.integers(0, int(len(whole) * 0.98)))
    assert check_photos([whole, whole[:length]], "checking").broken.keys() == {1}


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]).map(lambda form: encoded(NOISE, form)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(1, 20_000),
)
@pytest.mark.filterwarnings("ignore")
def test_damage_of_any_kind_is_survived_or_found(whole: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(whole[:length])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    assert set(check_photos([bytes(damaged)], "checking").broken) <= {0}


@pytest.mark.parametrize(
    ("size", "decoded"), [((1166, 1750), (146, 219)), ((360, 540), (180, 270)), ((90, 40), (90, 40))]
)
def test_large_jpegs_are_decoded_at_a_fraction(tmp_path: Path, size: tuple[int, int], decoded: tuple[int, int]) -> None:
    """An eighth, a half, the whole: both sides stay at least 128, if they were; other formats are read whole."""
    assert load_photo(photo(tmp_path / "a.jpg", (200, 10, 90), size), 128).size == decoded
    assert load_photo(photo(tmp_path / "a.png", (200, 10, 90), size), 128).size == size
