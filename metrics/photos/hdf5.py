"""Photos in HDF5 files, whose pixels must be in the file itself: it may name any other as the place of its data."""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from metrics.common.files import special_kind

_ROW = re.compile(r"(.+\.hdf5)/(\d+)")
_MOST_IN_CHUNK = 300_000_000  # bytes, which are in memory as a whole to read one row


def hdf5_row(path: str | Path) -> tuple[Path, int] | None:
    """The file and row of a photo written `FILE.hdf5/ROW`; None for any other path."""
    match = _ROW.fullmatch(str(path))
    return (Path(match[1]), int(match[2])) if match else None


def photo_file(path: Path) -> Path:
    """The file that a photo is in."""
    stored = hdf5_row(path)
    return stored[0] if stored else path


def read_row(file: Path, row: int, most: int) -> Image.Image:
    """The photo in a row of the data set `images` of an HDF5 file.

    Raises:
        OSError, ValueError: as `hdf5_images`; when there is no such row or it has too many pixels (`ValueError`)
            or is damaged (`OSError`).
        ImportError: when h5py is missing.
    """
    images = hdf5_images(file)
    if row >= len(images):
        raise ValueError(f"row {row} of {len(images)}")
    height, width = images.shape[2:]
    if height * width > most:
        raise Image.DecompressionBombError
    try:
        return Image.fromarray(images[row].transpose(1, 2, 0))
    except OSError as error:
        raise OSError(f"cannot be read, is the file damaged? {error}") from error


def hdf5_images(file: Path) -> Any:
    """The data set `images` (n, 3, height, width), uint8, of an HDF5 file, opened once in each process.

    Pixels are read later. Raises `OSError` if the file cannot be opened (`BlockingIOError` if another process is
    writing it), `ValueError` if it has no such data set, or one whose pixels are elsewhere.
    """
    if kind := special_kind(file):
        raise ValueError(f"a {kind}, not a file")
    return _open_hdf5(file, file.stat().st_mtime_ns, os.getpid())


@lru_cache(maxsize=16)
def _open_hdf5(file: Path, _changed: int, _process: int) -> Any:
    import h5py  # noqa: PLC0415  # in the extra `train`

    opened = h5py.File(file, "r")
    try:
        _refuse_elsewhere(opened.get("images", getlink=True), h5py.HardLink)
        return _checked(opened.get("images"), ", ".join(opened))
    except Exception as error:
        opened.close()
        if isinstance(error, OSError | ValueError):
            raise
        raise OSError(f"is the file damaged? {error}") from error  # h5py raises of many kinds


def _refuse_elsewhere(link: Any, own: type) -> None:
    if link is not None and not isinstance(link, own):
        place = getattr(link, "filename", None) or link.path
        raise ValueError(f"expected the photos in the file itself, found a link to {place}")


def _checked(images: Any, others: str) -> Any:
    """`images`, if it is what it must be; `others` are the names of what the file has."""
    shape: tuple[int, ...] = getattr(images, "shape", ())
    dtype = getattr(images, "dtype", None)
    if len(shape) != 4 or shape[1] != 3 or 0 in shape[2:] or dtype != np.uint8:
        content = f"{shape} of {dtype}" if shape else others or "an empty file"
        raise ValueError(f"expected a data set 'images' of uint8 with shape (n, 3, height, width), found {content}")
    if images.external or images.is_virtual:
        raise ValueError("expected the photos in the file itself, found them in other files (external or virtual data)")
    if np.prod(images.chunks or (0,), dtype=np.float64) > _MOST_IN_CHUNK:
        raise ValueError(f"chunks of {images.chunks} are too large to be read; store one photo in each")
    return images
