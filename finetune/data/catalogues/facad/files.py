"""The files of FACAD: the path of each, and whether its photos can be read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.photos.hdf5 import hdf5_images

PREFIXES = {"train": "TRAIN", "validation": "VAL", "test": "TEST"}
ENDINGS = ("", "_5")
Paths = dict[str, Path]


@dataclass(frozen=True)
class Files:
    """`splits` maps train, validation and test to their files by kind, `meta` may be missing."""

    words: Path
    splits: dict[str, Paths]
    meta: Path | None


def find_files(folder: Path) -> Files:
    """The path of each file; every one may have `_5` before its extension or not.

    Raises `UserError` naming all that are missing, or those that are there twice.
    """
    kinds = {"IMAGES": "hdf5", "CAPTIONS": "json", "CAPLENS": "json", "ATTRS": "json"}
    missing: list[str] = []

    def find(*names: str) -> Path:
        path = next((path for name in names if (path := _one(folder, name))), None)
        if path is None:
            missing.append(" or ".join(names))
        return path or folder

    words = find("WORDMAP.json")
    splits = {
        split: {kind: find(f"{prefix}_{kind}.{extension}") for kind, extension in kinds.items()}
        | {"CATES": find(f"{prefix}_CATES_FLAT.json", f"{prefix}_CATES.json")}
        for split, prefix in PREFIXES.items()
    }
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of FACAD's files missing, with `_5` before the extension or without: "
            f"{', '.join(missing)}"
        )
    metas = sorted(folder.glob("meta_all_*.json"))
    if len(metas) > 1:
        raise UserError(f"{folder}: {len(metas)} meta files: {_names(metas)}; keep the one of this release")
    return Files(words, splits, metas[0] if metas else None)


def _one(folder: Path, name: str) -> Path | None:
    stem, _, extension = name.partition(".")
    paths = [path for ending in ENDINGS if (path := folder / f"{stem}{ending}.{extension}").is_file()]
    if len(paths) > 1:
        raise UserError(f"{folder}: {_names(paths)} are two files of one kind; keep the one of this release")
    return paths[0] if paths else None


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(path.name for path in paths)


def open_photos(path: Path) -> Any:
    """The HDF5 data set of a split's photos. Raises `UserError` naming the file if it cannot be used."""
    try:
        return hdf5_images(path)
    except BlockingIOError as error:
        raise UserError(
            f"{path}: locked by a process that writes it; wait for it, or set HDF5_USE_FILE_LOCKING=FALSE if there is "
            "none (some network disks know no locks)"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: no HDF5 file, or a truncated one: {error}; copy it again") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; use the file as it was published") from error
