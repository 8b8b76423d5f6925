"""Reading photos: any kind to RGB, broken ones named."""

import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
from datasets.features.features import register_feature
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from finetune.data.damage import is_damage, unreadable
from metrics.common.errors import UserError
from metrics.common.images import hdf5_images, hdf5_row, open_photo, to_rgb

CHECKED_SIZE = (64, 64)
MOST_PIXELS = 100_000_000
_BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError)


@dataclass
class Photo(datasets.Image):  # type: ignore[misc]
    """`datasets.Image` that also reads rows of HDF5 files, written `FILE.hdf5/ROW`, when they are asked for."""

    _type: str = field(default="Photo", init=False, repr=False)

    def decode_example(self, value: dict[str, Any], token_per_repo_id: Any = None) -> Image.Image:
        """The photo, as it is stored. Raises `UserError` if a row of an HDF5 file is damaged."""
        if value["path"] and hdf5_row(value["path"]):
            return load_image(value["path"])
        decoded: Image.Image = super().decode_example(value, token_per_repo_id)
        return decoded


with warnings.catch_warnings(action="ignore", category=UserWarning):
    register_feature(Photo, "Photo")  # datasets calls this experimental


def load_image(path: str | Path) -> Image.Image:
    """Open a photo as RGB. Raises `UserError` naming the file if it is not a photo or is broken."""
    try:
        with open_photo(path) as image:
            _refuse_huge(image)
            return to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN as error:
        cure = "copy the HDF5 file again" if hdf5_row(path) else "replace or remove the file"
        raise UserError(f"{path}: {_damage(path, error)}; {cure}") from error


@dataclass
class Checked:
    """Positions of the broken photos with the reason, and how many whole ones there are of each "width x height"."""

    broken: dict[int, str] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)


def check_photos(sources: Sequence[Path | str | bytes], title: str) -> Checked:
    """Read every photo once as `load_image` does.

    JPEGs are decoded at a fraction of their size, which still reads every byte. Rows of an HDF5 file are read if it
    is stored in chunks, compressed for instance: else nothing but the file as a whole can be damaged unseen.
    """
    checked, files, stored = Checked(), [], cache(_stored_photos)
    for place, source in enumerate(sources):
        row = None if isinstance(source, bytes) else hdf5_row(source)
        size, reason, rows, in_chunks = stored(row[0]) if row else ("", None, 0, True)
        if row and not in_chunks:
            _note(checked, place, size, reason or _beyond(row[1], rows))
        else:
            files.append(place)
    with ThreadPoolExecutor() as pool:
        checks = pool.map(_check, (sources[place] for place in files))
        bar = tqdm(checks, total=len(files), desc=title, unit="photo", disable=len(files) < 100)
        for place, (size, reason) in zip(files, bar, strict=True):
            _note(checked, place, size, reason)
    return checked


def _note(checked: Checked, place: int, size: str, reason: str | None) -> None:
    if reason:
        checked.broken[place] = reason
    else:
        checked.sizes[size] += 1


def _beyond(row: int, rows: int) -> str | None:
    return _reason(ValueError(f"row {row} of {rows}")) if row >= rows else None


def _stored_photos(file: Path) -> tuple[str, str | None, int, bool]:
    """The size of an HDF5 file's photos, what is wrong with the file, how many photos there are, and if in chunks."""
    try:
        images = hdf5_images(file)
    except _BROKEN as error:
        return "", _damage(file, error), 0, False
    rows, _, height, width = images.shape
    return f"{width} x {height}", None, rows, images.chunks is not None


def _check(source: Path | str | bytes) -> tuple[str, str | None]:
    """The photo's size, and what is wrong with it."""
    try:
        with Image.open(BytesIO(source)) if isinstance(source, bytes) else open_photo(source) as image:
            _refuse_huge(image)
            size = f"{image.width} x {image.height}"
            image.draft("RGB", CHECKED_SIZE)
            to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN as error:
        return "", _damage(source if isinstance(source, Path | str) else "a photo", error)
    return size, None


def _refuse_huge(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError


def _damage(photo: Path | str, error: Exception) -> str:
    """What is wrong with the photo. Raises `UserError` if it could not be read although it may be whole."""
    if isinstance(error, OSError) and not is_damage(error):
        raise unreadable(photo, error) from error
    return _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"larger than {MOST_PIXELS / 1e6:.0f} million pixels"
    return f"broken image ({error})"
