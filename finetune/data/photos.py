"""Reading photos: any kind to RGB, broken ones named."""

import warnings
from dataclasses import dataclass, field
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


def load_image(path: str | Path) -> Image.Image:
    """Open a photo as RGB. Raises `UserError` naming the file if it is not a photo or is broken."""
    try:
        with open_photo(path) as image:
            refuse_huge(image)
            return to_rgb(ImageOps.exif_transpose(image))
    except BROKEN as error:
        cure = "copy the HDF5 file again" if hdf5_row(path) else "replace or remove the file"
        raise UserError(f"{path}: {damage(path, error)}; {cure}") from error


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
