"""The photos of items: only from inside one folder, read by Pillow and re-encoded as JPEG, or the reason why not."""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image

from metrics.common.images import BROKEN, FORMATS, hdf5_row, open_photo, photo_path
from metrics.common.thumbnails import jpeg

SIZES = {"small": (320, 240), "large": (1200, 1200)}
_MOST_PIXELS = 50_000_000
_KEPT = 256  # small photos, of about 10 kB


class NoPhotoError(Exception):
    """There is no photo to show; the message is the reason."""


@dataclass(frozen=True)
class Photos:
    """The photos in a folder, None if it is not known."""

    folder: Path | None

    def jpeg(self, image: str | None, size: str) -> bytes:
        """Return a photo as JPEG of at most the pixels of `SIZES[size]`; of the small ones the last 256 are kept.

        Args:
            image: its path relative to the folder, or `FILE.hdf5/ROW`.
            size: `small` or `large`.

        Raises:
            NoPhotoError: when there is none, it lies outside the folder (links resolved), it has none of
                `FORMATS`, or cannot be read.
        """
        path = self._path(image)
        return _small(path, _file(path).stat().st_mtime_ns) if size == "small" else _jpeg(path, size)

    def _path(self, image: str | None) -> Path:
        if not image:
            raise NoPhotoError("the item has no photo")
        if self.folder is None:
            raise NoPhotoError("the catalogue folder is not known: give it by --images")
        if not self.folder.is_dir():
            raise NoPhotoError(f"no folder {self.folder}: give another by --images")
        path = photo_path(self.folder, image)
        if path is None:
            raise NoPhotoError("photo outside the catalogue folder")
        file = _file(path)
        try:
            inside = file.resolve().is_relative_to(self.folder.resolve())
            exists = file.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # too long a name, links in a circle, no UTF-8
            raise NoPhotoError("photo cannot be read") from error
        if not inside:
            raise NoPhotoError("photo outside the catalogue folder")
        if not exists:  # or neither file nor folder: to open a pipe would never end
            raise NoPhotoError("photo not found")
        return path


@cache
def _formats() -> tuple[str, ...]:
    """The formats of photos that this Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _file(path: Path) -> Path:
    """The file that a photo is in."""
    stored = hdf5_row(path)
    return stored[0] if stored else path


@lru_cache(_KEPT)
def _small(path: Path, _changed: int) -> bytes:
    return _jpeg(path, "small")


def _jpeg(path: Path, size: str) -> bytes:
    try:
        with open_photo(path, _formats()) as opened:
            opened.draft("RGB", SIZES[size])
            if opened.width * opened.height > _MOST_PIXELS:
                raise NoPhotoError(f"photo too large: {opened.width} x {opened.height} pixels")
            return jpeg(opened, SIZES[size])[0]
    except ImportError as error:
        raise NoPhotoError("photo in an HDF5 file: pip install h5py") from error
    except BROKEN as error:
        raise NoPhotoError("photo cannot be read") from error
