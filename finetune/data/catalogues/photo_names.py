"""What a table calls photos, and the files that it means; which files of a folder are photos."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NoReturn

from metrics.common.files import special_kind
from metrics.photos.folders import is_inside
from metrics.photos.formats import is_photo
from metrics.photos.hdf5 import photo_file

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_NAMED = 3  # files in a message


class PhotoNames:
    """The photos of a catalogue's folder, which is resolved, by the names that a table has for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, name: str) -> tuple[str, str | None]:
        """The photo relative to the folder and None; or an empty text and what is wrong with its name.

        Case and Unicode form may differ if a single file fits.
        """
        problem = _malformed(name)
        if problem:
            return "", problem
        try:
            path = self._path(name)
            problem = self._misplaced(name, path)
        except OSError as error:  # too long a name, a folder that cannot be read
            return "", f"cannot be read: {error.strerror}"
        return ("", problem) if problem else (path.relative_to(self.folder).as_posix(), None)

    def _path(self, name: str) -> Path:
        """The file that is meant, whether or not it is there."""
        path = Path(os.path.normpath(self.folder / name))
        if not path.is_relative_to(self.folder):  # an absolute path may lead to the folder by a link
            return Path(os.path.realpath(path.parent), path.name)
        alike = [] if os.path.lexists(path) else self._like(path)
        return alike[0] if len(alike) == 1 else path

    def _misplaced(self, name: str, path: Path) -> str | None:
        """Why there is no photo at `path`; None if there may be one."""
        if not path.is_relative_to(self.folder):
            return f"outside {self.folder}; names are relative to that folder, so put the photo into it"
        if path.is_file():
            return None
        kind = "folder" if path.is_dir() else special_kind(path)
        if kind:
            return f"a {kind} in {self.folder}; name the photo's file"
        if path.is_symlink():
            return f"a link to {path.readlink()}, where there is no file"
        return self._similar(name, path)

    def _similar(self, name: str, path: Path) -> str:
        """What distinguishes the name of a missing file from that of one that is there."""
        alike = self._like(path)
        if alike:
            files = ", ".join(one.relative_to(self.folder).as_posix() for one in alike[:_NAMED])
            return f"no such file in {self.folder}; {files} differ from it in case or Unicode form: name one of them"
        if self._is_file(name.strip()):
            return f"has blanks around the name of the file {name.strip()!r}; remove them"
        if self._is_file(name.replace("\\", "/")):
            return f"has backslashes; write {name.replace(chr(92), '/')!r}"
        return f"no such file in {self.folder}"

    def _is_file(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def _like(self, path: Path) -> list[Path]:
        return self._by_plain_name.get(_plain(path), [])

    @cached_property
    def _by_plain_name(self) -> dict[str, list[Path]]:
        """All files by their names in one case and one Unicode form."""
        files: defaultdict[str, list[Path]] = defaultdict(list)
        for path in sorted(_files(self.folder), key=str):
            files[_plain(path)].append(path)
        return files


def _malformed(name: str) -> str | None:
    """What makes a name that of no file."""
    if not name.strip():
        return "the cell is empty; every row needs a photo"
    if "\0" in name:
        return "has a NUL character, which no file's name has; correct the table"
    if _URL.match(name):
        return "a URL; download the photo (`lookbook fetch-images`), and name its file"
    return None


def _plain(path: Path) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def leading_out(folder: Path, images: Iterable[str]) -> dict[str, str]:
    """What is wrong with those photos of a folder that links lead out of it to, by their names."""
    is_place_inside = cache(lambda place: is_inside(place, folder))
    found = {}
    for image in dict.fromkeys(images):
        path = photo_file(folder / image)
        if not is_place_inside(path.parent) or (path.is_symlink() and not is_inside(path, folder)):
            real = shown(os.path.realpath(path))
            found[image] = (
                f"a link leads out of {folder}, to {real}; if you trust it, set data.outside: read in the recipe, or "
                "for a folder --set data.outside=read"
            )
    return found


def photos_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files below `folder` that are photos, as `is_photo` says, and all others.

    What is hidden is neither; links to folders are others, and are not followed.
    """
    photos: list[Path] = []
    others: list[Path] = []
    for path in sorted(_files(folder), key=str):
        (photos if is_photo(path) else others).append(path)
    return photos, others


def photos_by_stem(folder: Path, pattern: str) -> dict[str, str]:
    """The photos of a folder that match a glob pattern, by their names without suffix; of several, one called .jpg.

    Names that are not UTF-8 are those of no article.
    """
    paths = sorted(filter(is_photo, folder.glob(pattern)), key=lambda path: (path.suffix.lower() == ".jpg", path))
    return {path.stem: path.relative_to(folder).as_posix() for path in paths if shown(path.name) == path.name}


def shown(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _files(folder: Path) -> Iterator[Path]:
    """What is not hidden, links to folders among it. Raises `OSError` for a folder that cannot be read."""
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = [*files, *(name for name in folders if Path(place, name).is_symlink())]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _unreadable(error: OSError) -> NoReturn:
    raise error
