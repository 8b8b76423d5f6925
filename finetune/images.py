"""Reading photos: any mode to RGB, broken files named."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from metrics.errors import UserError
from metrics.images import to_rgb

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
