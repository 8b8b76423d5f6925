"""Which folders photos are read from, and which files in them.

A file that somebody else may have written (captions, a report, a store) names the folder of its photos, and may name
any. Photos are read from it only if it lies beside that file, or if the user has named it here, in a recipe or as a
catalogue. Where links lead out of a folder, photos are read only if the recipe says `data.outside: read`, or if they
lead to another folder that the user has named.
"""

import hashlib
import os
from pathlib import Path, PurePath

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.photos.hdf5 import photo_file


def remember_folder(folder: Path, *, outside: bool) -> None:
    """Note that the user has named `folder` as one of photos, and whether photos `outside`, where links lead, are read.

    Raises `UserError` if that cannot be written to the cache.
    """
    named, read = _notes(folder)
    try:
        named.parent.mkdir(parents=True, exist_ok=True)
        if not named.exists():
            named.touch()
        if outside and not read.exists():
            read.touch()
        elif not outside:
            read.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{named}: cannot be written: {error.strerror}; set LOOKBOOK_CACHE") from error


def folder_named(folder: Path, by: Path) -> Path | None:
    """`folder`, if a file in the folder `by` may name it as that of its photos; else None."""
    return folder if is_inside(folder, by) or _is_named(folder) else None


def photo_path(folder: Path, image: str) -> Path | None:
    """Where the photo `image` of a record is, relative to its catalogue's folder; None if it is not inside it."""
    relative = PurePath(image)
    if relative.is_absolute() or ".." in relative.parts or "\0" in image:
        return None
    path = folder / relative
    file = photo_file(path)
    return path if is_inside(file, folder) or _reads_outside(folder) or _is_in_named(file) else None


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path` is in `folder` where links lead to. A name that no file can have is where it seems to be."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except ValueError:
        return True


def _is_in_named(file: Path) -> bool:
    return any(map(_is_named, Path(os.path.realpath(file)).parents))


def _is_named(folder: Path) -> bool:
    return _notes(folder)[0].exists()


def _reads_outside(folder: Path) -> bool:
    return _notes(folder)[1].exists()


def _notes(folder: Path) -> tuple[Path, Path]:
    """The empty files that say that the user has named `folder`, and that photos outside of it are read."""
    try:
        name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    except ValueError:  # a name that no file can have
        name = "none"
    return cache_folder("catalogues", name), cache_folder("catalogues", f"{name}.outside")
