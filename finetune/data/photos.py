"""Reading photos: any kind to RGB, broken ones named."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
from datasets.features.features import register_feature
from PIL import Image, ImageOps, UnidentifiedImageError

from finetune.data.damage import is_damage, unreadable
from metrics.common.errors import UserError
from metrics.common.images import MOST_PIXELS, hdf5_row, open_photo, refuse_huge, to_rgb

BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError)


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


def load_image(path: str | Path, side: int | None = None) -> Image.Image:
    """Open a photo as RGB. Raises `UserError` naming the file if it is not a photo or is broken.

    `side`: a JPEG is decoded at the smallest fraction of its size that leaves both sides as long, which is faster.
    """
    try:
        with open_photo(path) as image:
            return _rgb(image, side)
    except BROKEN as error:
        cure = "copy the HDF5 file again" if hdf5_row(path) else "replace or remove the file"
        raise UserError(f"{path}: {damage(path, error)}; {cure}") from error


def read_stored(value: Mapping[str, Any], side: int | None = None) -> Image.Image:
    """As `load_image`, a photo as a data set stores it: by its `path`, or as `bytes`."""
    if value["bytes"] is None:
        return load_image(value["path"], side)
    try:
        with Image.open(BytesIO(value["bytes"])) as image:
            return _rgb(image, side)
    except BROKEN as error:
        raise UserError(f"{damage('the photo', error)}; replace it in the data set") from error


def _rgb(image: Image.Image, side: int | None) -> Image.Image:
    refuse_huge(image)
    if side is not None:
        image.draft("RGB", (side, side))
    return to_rgb(ImageOps.exif_transpose(image))


def damage(photo: Path | str, error: Exception) -> str:
    """What is wrong with a photo. Raises `UserError` if it could not be read although it may be whole."""
    if isinstance(error, OSError) and not is_damage(error):
        raise unreadable(photo, error) from error
    return _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"larger than {MOST_PIXELS / 1e6:.0f} million pixels"
    return f"broken image ({error})"
