"""Whatever bytes a file has, reading it as a photo ends in pixels or in a message."""

import struct
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from metrics.common.errors import UserError
from metrics.photos.reading import PhotoError, load_photo, read_photo
from metrics.photos.thumbnails import thumbnail_of

COLOUR = (200, 40, 90)
ANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def encoded(form: str, **options: bytes) -> bytes:
    buffer = BytesIO()
    image = Image.effect_noise((40, 24), 60).convert("RGB") if not options else Image.new("RGB", (40, 24), COLOUR)
    image.save(buffer, form, **options, **({"lossless": True} if form == "WEBP" else {}))
    return buffer.getvalue()


WHOLE = st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]).map(encoded)
TAGS = st.tuples(
    st.sampled_from([0x0112, 0x8769, 0x8825, 0x011A, 0x9003]) | st.integers(0, 0xFFFF),
    st.integers(0, 14),
    st.integers(0, 9) | st.integers(0, 0xFFFFFFFF),
    st.binary(min_size=4, max_size=4),
)


def block(order: bytes, tags: list[tuple[int, int, int, bytes]], rest: bytes) -> bytes:
    """EXIF with these tags, in Motorola's or Intel's order."""
    sign = ">" if order == b"MM" else "<"
    entries = b"".join(struct.pack(f"{sign}HHL4s", *tag) for tag in tags)
    header = order + struct.pack(f"{sign}HL", 42, 8)
    return b"Exif\0\0" + header + struct.pack(f"{sign}H", len(tags)) + entries + bytes(4) + rest


def read(content: bytes) -> Image.Image | None:
    """The photo, None if there is a message instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_photo(content)
        except (PhotoError, UserError) as error:
            assert str(error)
            assert "\n" not in str(error)
            return None


@ANY
@given(st.binary(max_size=300) | st.tuples(WHOLE, st.binary(max_size=100)).map(lambda both: both[0][:20] + both[1]))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    read(content)


@ANY
@given(WHOLE, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.integers(1, 5_000))
def test_damaged_photos_are_read_or_refused(whole: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(whole[:length])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    read(bytes(damaged))


@ANY
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.sampled_from([b"MM", b"II"]),
    st.lists(TAGS, max_size=4),
    st.binary(max_size=40),
)
def test_no_exif_costs_pixels(form: str, order: bytes, tags: list[tuple[int, int, int, bytes]], rest: bytes) -> None:
    photo = read(encoded(form, exif=block(order, tags, rest)))
    assert photo is not None
    assert sorted(photo.size) == [24, 40]
    assert np.abs(np.asarray(photo, dtype=int) - COLOUR).max() <= 8


@ANY
@given(content=st.binary(max_size=300) | WHOLE.map(lambda whole: whole[: len(whole) // 2]))
def test_pages_say_why_there_is_no_photo(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = thumbnail_of(path)
        assert shown.uri or shown.problem
        if shown.problem:
            with pytest.raises(UserError, match=r"photo\.jpg: "):
                load_photo(path)
