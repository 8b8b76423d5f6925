"""Reading photos: any mode to RGB, broken files named."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from metrics.errors import UserError

CHECKED_SIZE = (64, 64)
MOST_PIXELS = 100_000_000
_BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError)


def load_image(path: Path) -> Image.Image:
    """Open a photo as RGB. Raises `UserError` naming the file where it is none or is broken."""
    try:
        with Image.open(path) as image:
            _refuse_huge(image)
            return to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN as error:
        raise UserError(f"{path}: {_reason(error)}; replace or remove the file") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: 16-bit is scaled to 8, transparency is laid on white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits, 32 bits or floating point to 0..255."""
    values = np.asarray(image, dtype=np.float64)
    highest = values.max(initial=0)
    if image.mode.startswith("I;16"):
        white = 65535
    elif image.mode == "F" and highest <= 1:
        white = 1
    else:
        white = 65535 if highest > 255 else 255
    return Image.fromarray((values * (255 / white)).round().clip(0, 255).astype(np.uint8))


def find_broken(sources: Sequence[Path | bytes], title: str) -> dict[int, str]:
    """Read every photo once as `load_image` does; the positions of those that are broken, with the reason.

    JPEGs are decoded at a fraction of their size, which still reads every byte.
    """
    with ThreadPoolExecutor() as pool:
        faults = pool.map(_fault, sources)
        reasons = list(tqdm(faults, total=len(sources), desc=title, unit="photo", disable=len(sources) < 100))
    return {position: reason for position, reason in enumerate(reasons) if reason}


def _fault(source: Path | bytes) -> str | None:
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            _refuse_huge(image)
            image.draft("RGB", CHECKED_SIZE)
            to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN as error:
        return _reason(error)
    return None


def _refuse_huge(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"larger than {MOST_PIXELS / 1e6:.0f} million pixels"
    return f"broken image ({error})"
