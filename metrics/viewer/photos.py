"""The photos of items: from inside one folder, read within bounds and re-encoded as JPEG, or the reason why not."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from metrics.photos.folders import photo_path
from metrics.photos.hdf5 import photo_file
from metrics.photos.thumbnails import NoPhotoError, photo_jpeg

SIZES = {"small": (320, 240), "large": (1200, 1200)}
_KEPT = 256  # small photos, of about 10 kB


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
            NoPhotoError: when there is none, it lies outside the folder (links followed), or as `photo_jpeg`.
        """
        path = self._path(image)
        return _small(path, _changed(path)) if size == "small" else photo_jpeg(path, SIZES[size])[0]

    def _path(self, image: str | None) -> Path:
        if not image:
            raise NoPhotoError("the item has no photo")
        if self.folder is None:
            raise NoPhotoError("the catalogue folder is not known, or not one that was used here: give it by --images")
        if not self.folder.is_dir():
            raise NoPhotoError(f"no folder {self.folder}: give another by --images")
        path = photo_path(self.folder, image)
        if path is None:
            raise NoPhotoError("photo outside the catalogue folder")
        return path


def _changed(path: Path) -> int:
    try:
        return photo_file(path).stat().st_mtime_ns
    except (OSError, ValueError):  # the reason is found when it is opened
        return 0


@lru_cache(_KEPT)
def _small(path: Path, _changed: int) -> bytes:
    return photo_jpeg(path, SIZES["small"])[0]
