"""The formats that photos may have, known by how a file begins, whatever its suffix."""

import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from PIL import Image

from metrics.common.version import DISTRIBUTION

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # Pillow was built with or without the last
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}
)
HEAD = 64  # bytes that tell the format
HEIC = "HEIF"
_BEGINNINGS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{4}\0{4}",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "AVIF": rb".{4}ftyp.*avi[fs]",
    HEIC: rb".{4}ftyp.*he(i[cxms]|v[cxms])",
}


def format_of(head: bytes) -> str | None:
    """The format of a file by its first 64 bytes, as Pillow calls it; None if it is none of photos."""
    return next((name for name, begins in _BEGINNINGS.items() if re.match(begins, head, re.DOTALL)), None)


def is_photo(path: Path) -> bool:
    """Whether a file is to be read as a photo, by its suffix or its content. Raises `OSError` if it cannot be read."""
    if path.suffix.lower() in SUFFIXES:
        return not path.is_dir()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return format_of(file.read(HEAD)) is not None


def not_read(head: bytes) -> str:
    """Why Pillow opens no photo in a file that begins so."""
    kind = format_of(head)
    if kind == HEIC and HEIC not in formats():
        return f"HEIC, which the extra heic reads: pip install '{DISTRIBUTION}[heic]'"
    if kind == "AVIF" and kind not in formats():
        return "AVIF, which this Pillow was built without; update it"
    return f"broken image (no {kind} that can be read)" if kind else "not an image"


@cache
def formats() -> tuple[str, ...]:
    """The formats that photos are read in here: those of `FORMATS` that Pillow has, and HEIC with the extra `heic`."""
    Image.init()
    with suppress(ImportError):
        import pillow_heif  # noqa: PLC0415  # the extra `heic`

        pillow_heif.register_heif_opener()
    return tuple(name for name in (*FORMATS, HEIC) if name in Image.OPEN)
