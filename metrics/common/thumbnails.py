"""Photos small enough to be embedded in a page."""

import base64
import io
from dataclasses import dataclass

from PIL import Image, ImageOps

from metrics.common.images import to_rgb

_PIXELS = (320, 240)  # width, height at most


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail as a data URI with its size in pixels, or the reason why there is no photo."""

    uri: str | None = None
    width: int = 0
    height: int = 0
    problem: str | None = None


def thumbnail(opened: Image.Image) -> Thumbnail:
    """Return the photo as a JPEG of at most 320 x 240 pixels; raises what Pillow raises if it cannot read it."""
    content, (width, height) = jpeg(opened, _PIXELS)
    return Thumbnail("data:image/jpeg;base64," + base64.b64encode(content).decode("ascii"), width, height)


def jpeg(opened: Image.Image, pixels: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """Return the photo as a JPEG of at most `pixels` (width, height), and its size; raises what Pillow raises."""
    opened.draft("RGB", pixels)
    flat = to_rgb(ImageOps.exif_transpose(opened))
    flat.thumbnail(pixels)
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue(), flat.size
