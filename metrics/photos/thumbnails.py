"""Photos small enough to be embedded in a page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from metrics.common.errors import UserError
from metrics.photos.colours import to_rgb, upright_rgb
from metrics.photos.folders import photo_path
from metrics.photos.reading import MissingPhotoError, PhotoError, opened

_PIXELS = (320, 240)  # width, height at most
_MOST = 50_000_000  # pixels that are decoded for a page


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail as a data URI with its size in pixels, or the reason why there is no photo."""

    uri: str | None = None
    width: int = 0
    height: int = 0
    problem: str | None = None


class NoPhotoError(Exception):
    """There is no photo to show; the message is the reason."""


def thumbnail(photo: Image.Image) -> Thumbnail:
    """A photo that is read already as a JPEG of at most 320 x 240 pixels."""
    return _thumbnail(*_jpeg(to_rgb(photo), _PIXELS))


def thumbnail_in(folder: Path | None, image: str | None) -> Thumbnail:
    """The photo `image` of a folder as a JPEG of at most 320 x 240 pixels, or the reason why there is none."""
    if folder is None or not image:
        return Thumbnail(problem="no photo given")
    path = photo_path(folder, image)
    return Thumbnail(problem="photo outside the catalogue folder") if path is None else thumbnail_of(path)


def thumbnail_of(path: Path) -> Thumbnail:
    """The photo at `path` as a JPEG of at most 320 x 240 pixels, or the reason why there is none."""
    try:
        return _thumbnail(*photo_jpeg(path, _PIXELS))
    except NoPhotoError as error:
        return Thumbnail(problem=str(error))


def photo_jpeg(path: Path, pixels: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """The photo at `path` as a JPEG of at most `pixels` (width, height), and its size.

    Raises:
        NoPhotoError: when it cannot be read, or has more than 50 million pixels (after the reduction of a JPEG).
    """
    try:
        with opened(path, pixels, _MOST) as photo:
            return _jpeg(upright_rgb(photo), pixels)
    except MissingPhotoError as error:
        raise NoPhotoError("photo not found") from error
    except PhotoError as error:
        raise NoPhotoError(f"photo cannot be read: {error}") from error
    except UserError as error:
        raise NoPhotoError(f"photo {str(error).removeprefix(f'{path}: ').partition(';')[0]}") from error


def _jpeg(photo: Image.Image, pixels: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    photo.thumbnail(pixels)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue(), photo.size


def _thumbnail(content: bytes, size: tuple[int, int]) -> Thumbnail:
    return Thumbnail("data:image/jpeg;base64," + base64.b64encode(content).decode("ascii"), *size)
