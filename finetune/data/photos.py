"""The photos of prepared catalogues: paths, rows of HDF5 files or bytes, read when they are asked for."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import datasets
from datasets.features.features import register_feature
from PIL import Image

from metrics.photos.reading import load_photo


@dataclass
class Photo(datasets.Image):  # type: ignore[misc]
    """`datasets.Image` that reads photos as `load_photo`, rows of HDF5 files, written `FILE.hdf5/ROW`, among them."""

    _type: str = field(default="Photo", init=False, repr=False)

    def decode_example(self, value: dict[str, Any], token_per_repo_id: Any = None) -> Image.Image:
        """The photo as RGB. Raises `UserError` if it is damaged."""
        return read_stored(value)


with warnings.catch_warnings(action="ignore", category=UserWarning):
    register_feature(Photo, "Photo")  # datasets calls this experimental


def read_stored(value: Mapping[str, Any], side: int | None = None) -> Image.Image:
    """As `load_photo`, a photo as a data set stores it: by its `path`, or as `bytes`."""
    return load_photo(value["path"] if value["bytes"] is None else value["bytes"], side)
