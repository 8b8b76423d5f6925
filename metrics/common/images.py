"""Photos in files of their own or in HDF5 files, as RGB."""

import os
import re
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from metrics.common.errors import UserError

MOST_PIXELS = 100_000_000
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # Pillow was built with or without the last
_HDF5_ROW = re.compile(r"(.+\.hdf5)/(\d+)")


def hdf5_row(path: str | Path) -> tuple[Path, int] | None:
    """The file and row of a photo written `FILE.hdf5/ROW`; None for any other path."""
    match = _HDF5_ROW.fullmatch(str(path))
    return (Path(match[1]), int(match[2])) if match else None


def photo_path(folder: Path, image: str) -> Path | None:
    """Where the photo `image` of a record is, relative to its catalogue's folder; None if it is not inside it."""
    relative = PurePath(image)
    outside = relative.is_absolute() or ".." in relative.parts or "\0" in image
    return None if outside else folder / relative


# What Pillow raises for a file that is damaged or no photo.
BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError)


def load_photo(path: str | Path) -> Image.Image:
    """Read a photo of a file that anybody may have made: one of `FORMATS`, `MOST_PIXELS` at most, RGB, turned by EXIF.

    Raises:
        UserError: naming the file, when there is no such photo or it is broken, or h5py is missing.
    """
    Image.init()
    try:
        with open_photo(path, tuple(name for name in FORMATS if name in Image.OPEN)) as image:
            refuse_huge(image)
            return to_rgb(ImageOps.exif_transpose(image))
    except ImportError as error:
        raise UserError(f"{path}: a photo in an HDF5 file; run: pip install h5py") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: larger than {MOST_PIXELS / 1e6:.0f} million pixels; make it smaller") from error
    except BROKEN as error:
        reason = getattr(error, "strerror", None) or f"no photo, or a broken one ({error}); replace the file"
        raise UserError(f"{path}: {reason}") from error


def refuse_huge(image: Image.Image) -> None:
    """Raise `DecompressionBombError` for a photo of more than `MOST_PIXELS`."""
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError


def open_photo(path: str | Path, formats: tuple[str, ...] | None = None) -> Image.Image:
    """Open an image file, or a row of the data set `images` (n, 3, height, width), uint8, of an HDF5 file.

    `formats` are the formats that an image file may have, by Pillow's names; None: all that Pillow reads.

    Raises `OSError` or `ValueError` if there is no such photo, `ImportError` if an HDF5 file is to be read and h5py is
    not installed.
    """
    stored = hdf5_row(path)
    if stored is None:
        return Image.open(path, formats=formats)
    file, row = stored
    images = hdf5_images(file)
    if row >= len(images):
        raise ValueError(f"row {row} of {len(images)}")
    try:
        return Image.fromarray(images[row].transpose(1, 2, 0))
    except OSError as error:
        raise OSError(f"cannot be read, is the file damaged? {error}") from error


def hdf5_images(file: Path) -> Any:
    """The data set `images` (n, 3, height, width), uint8, of an HDF5 file, opened once in each process.

    Pixels are read later. Raises `OSError` if the file cannot be opened (`BlockingIOError` if another process is
    writing it), `ValueError` if it has no such data set.
    """
    return _open_hdf5(file, file.stat().st_mtime_ns, os.getpid())


@lru_cache(maxsize=16)
def _open_hdf5(file: Path, _changed: int, _process: int) -> Any:
    import h5py

    opened = h5py.File(file, "r")
    images = opened.get("images")
    shape: tuple[int, ...] = getattr(images, "shape", ())
    dtype = getattr(images, "dtype", None)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape[2:] or dtype != np.uint8:
        content = f"{shape} of {dtype}" if shape else ", ".join(opened) or "an empty file"
        opened.close()
        raise ValueError(f"expected a data set 'images' of uint8 with shape (n, 3, height, width), found {content}")
    return images


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: 16-bit is scaled to 8, transparency becomes white."""
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
