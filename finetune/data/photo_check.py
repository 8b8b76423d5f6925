"""Reads every photo once: which are broken, how large they are, which are the same and what each looks like."""

import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from metrics.common.formatting import printable
from metrics.common.screen import progress
from metrics.photos.colours import orientation, upright_rgb, upright_size
from metrics.photos.hdf5 import hdf5_row
from metrics.photos.reading import PhotoError, opened

CHECKED_SIZE = (64, 64)
_MANY = 100
_LISTED = 10  # photos in a message
Source = str | bytes | PhotoError  # a PhotoError: why a photo is not to be read
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Checked:
    """What was found of n photos, by their positions.

    Attributes:
        broken: what is wrong with each broken one.
        sizes: how many whole ones there are of each "width x height".
        digests: (n,) a text for each photo, the same for the same one: equal bytes, or equal pixels; "" if broken.
        hashes: (n,) its 64-bit difference hash (`difference_hash`), 0 if broken.
    """

    broken: dict[int, str] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    digests: list[str] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)


class _Read(NamedTuple):
    """A photo: where it is, digests of content and pixels, its size as shown; `reduced`: decoded at a fraction."""

    source: str | bytes
    content: bytes
    size: str
    pixels: bytes
    reduced: bool
    difference_hash: int


def check_photos(sources: Sequence[Source], title: str) -> Checked:
    """Read every photo once as `load_photo` does; sources are paths (rows of HDF5 files among them) or their bytes.

    JPEGs are decoded at a fraction of their size, which still reads every byte; only where two of one size could be
    the same picture are they decoded whole.
    """
    checked, whole = Checked(), dict[int, _Read]()
    for place, read in enumerate(_each(_read, sources, title)):
        if isinstance(read, str):
            checked.broken[place] = read
        else:
            whole[place] = read
    checked.sizes = Counter(read.size for read in whole.values())
    names = _names({read.content: read for read in whole.values()})
    digests = {place: names[read.content] for place, read in whole.items()}
    checked.digests = [digests.get(place, "") for place in range(len(sources))]
    checked.hashes = [whole[place].difference_hash if place in whole else 0 for place in range(len(sources))]
    return checked


def note_unusable(bad: Sequence[str]) -> None:
    """Say on stderr which photos are left out, and why: the first ten, and how many."""
    if bad:
        listed = "".join(f"\n  {printable(one)}" for one in bad[:_LISTED])
        print(f"note: {len(bad):,} photo(s) cannot be used and are left out:{listed}", file=sys.stderr)


def difference_hash(image: Image.Image) -> int:
    """Whether brightness rises from each of 9 x 8 areas to its right neighbour, as 64 bits (Krawetz 2013), signed."""
    areas = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(areas[:, 1:] > areas[:, :-1]).tobytes(), "big", signed=True)


def _each(work: Callable[[Item], Result], items: Sequence[Item], title: str) -> Iterator[Result]:
    with ThreadPoolExecutor() as pool:
        yield from progress(pool.map(work, items), title, total=len(items), unit="photo", disable=len(items) < _MANY)


def _read(source: Source) -> _Read | str:
    """The photo, or what is wrong with it."""
    if isinstance(source, PhotoError):
        return str(source)
    try:
        with opened(source) as image:
            content, stored = _content(source, image), image.size
            image.draft("RGB", CHECKED_SIZE)
            reduced = image.size != stored
            rgb = upright_rgb(image)
            size = upright_size(stored, orientation(image)) if reduced else rgb.size
    except PhotoError as error:
        return str(error)
    return _Read(source, content, f"{size[0]} x {size[1]}", _pixels(rgb), reduced, difference_hash(rgb))


def _content(source: str | bytes, image: Image.Image) -> bytes:
    """The digest of a photo's file, which is never in memory as a whole; of a row of an HDF5 file, of its pixels."""
    if not isinstance(source, bytes) and hdf5_row(source):
        return _pixels(image)
    with BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).digest()


def _pixels(image: Image.Image) -> bytes:
    return hashlib.blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).digest()


def _whole_pixels(read: _Read) -> bytes:
    if not read.reduced:
        return read.pixels
    try:
        with opened(read.source) as image:
            return _pixels(upright_rgb(image))
    except PhotoError:  # whole only at a fraction of its size: like no other, and named when it is used
        return read.content


def _names(photos: dict[bytes, _Read]) -> dict[bytes, str]:
    """By the digest of its content, each photo's name: the same for photos of one size with the same pixels.

    That is the digest of its size and pixels, those of a JPEG reduced, and so the same in every catalogue. Photos that
    reduced pixels could confuse are compared whole: JPEGs with the same ones, and all of a size that has JPEGs
    and others.
    """
    names = {content: f"{read.size} {read.pixels.hex()}" for content, read in photos.items()}
    kinds: dict[str, set[bool]] = defaultdict(set)
    for read in photos.values():
        kinds[read.size].add(read.reduced)
    alike: dict[str, list[bytes]] = defaultdict(list)
    for content, read in photos.items():
        alike[names[content] if len(kinds[read.size]) == 1 else read.size].append(content)
    compared = [content for group in alike.values() if len(group) > 1 for content in group]
    compared.sort(key=lambda content: photos[content].reduced)
    pixels = _each(_whole_pixels, [photos[content] for content in compared], "comparing photos")
    named: dict[tuple[str, bytes], str] = {}
    taken: set[str] = set()
    for content, whole in zip(compared, pixels, strict=True):
        key = photos[content].size, whole
        if key not in named:
            named[key] = f"{key[0]} {whole.hex()}" if names[content] in taken else names[content]
            taken.add(named[key])
        names[content] = named[key]
    return names
