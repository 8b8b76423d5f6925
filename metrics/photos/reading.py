"""Reading photos of files that anybody may have made: a few formats by their content, bounded in pixels, as RGB.

Nothing else opens image files: Pillow would start Ghostscript on an EPS that is called `.jpg`.
"""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from metrics.common.damage import is_damage, unreadable
from metrics.common.errors import UserError
from metrics.common.files import special_kind
from metrics.common.version import DISTRIBUTION
from metrics.photos.colours import upright_rgb
from metrics.photos.formats import HEAD, formats, not_read
from metrics.photos.hdf5 import hdf5_row, read_row
from metrics.photos.work import DECODING

MOST_PIXELS = 100_000_000
_LONGEST_REASON = 200
Source = str | Path | bytes  # a file, `FILE.hdf5/ROW`, or the bytes of a file
warnings.filterwarnings("ignore", module=r"PIL\.")  # of oddities in files that are read all the same


class PhotoError(Exception):
    """What is wrong with a photo: missing, none, broken, too large. The message is the reason alone."""


class MissingPhotoError(PhotoError):
    """There is no such file."""


def load_photo(source: Source, side: int | None = None) -> Image.Image:
    """Read a photo as `read_photo`. Raises `UserError` naming its file and what to do if it cannot be read."""
    try:
        return read_photo(source, side)
    except PhotoError as error:
        name, cure = str(source), "replace or remove the file"
        if isinstance(source, bytes):
            name, cure = "the photo", "replace it in the data set"
        elif hdf5_row(source):
            cure = "copy the HDF5 file again"
        raise UserError(f"{name}: {error}; {cure}") from error


def read_photo(source: Source, side: int | None = None) -> Image.Image:
    """Read a photo as RGB, turned by its EXIF. Raises as `opened`.

    `side`: a JPEG is decoded at the smallest fraction of its size that leaves both sides as long, which is faster.
    """
    with opened(source, (side, side) if side else None) as image:
        return upright_rgb(image)


@contextmanager
def opened(source: Source, draft: tuple[int, int] | None = None, most: int = MOST_PIXELS) -> Iterator[Image.Image]:
    """Open a photo for the block, which may decode it once there is room for its pixels (`metrics.photos.work`).

    Args:
        source: a regular file in one of `formats()`, `FILE.hdf5/ROW`, or the bytes of such a file.
        draft: width and height that a JPEG may be reduced to, as nearly as it can be decoded.
        most: the pixels that it may then have; before, `MOST_PIXELS`.

    Raises:
        PhotoError: when there is no such photo, or it is broken, also where the block finds that.
        UserError: naming the file, when it cannot be read although it may be whole: permissions, memory, open files.
    """
    try:
        with _open(source) as image:
            _refuse_huge(image, MOST_PIXELS)
            if draft:
                image.draft("RGB", draft)
            _refuse_huge(image, most)
            with DECODING.spent(image.width * image.height):
                yield image
    except (PhotoError, UserError):
        raise
    except Exception as error:  # Pillow raises of any kind at damaged files
        raise _named(source, error) from error


def _open(source: Source) -> Image.Image:
    if isinstance(source, bytes):
        return Image.open(BytesIO(source), formats=formats())  # noqa: TID251
    if stored := hdf5_row(source):
        return read_row(*stored, MOST_PIXELS)
    if kind := special_kind(Path(source)):
        raise PhotoError(f"a {kind}, not a file")
    return Image.open(source, formats=formats())  # noqa: TID251


def _refuse_huge(image: Image.Image, most: int) -> None:
    if image.width * image.height > most:
        raise PhotoError(_too_large(most))


def _too_large(most: int) -> str:
    return f"larger than {most / 1e6:.0f} million pixels"


def _named(source: Source, error: Exception) -> PhotoError | UserError:
    """The error that says what `error` means for the photo."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "not enough memory")
    if isinstance(error, OSError) and not is_damage(error):
        return unreadable("a photo" if isinstance(source, bytes) else source, error)
    if isinstance(error, FileNotFoundError):
        return MissingPhotoError("no such file")
    if isinstance(error, UnidentifiedImageError):
        return PhotoError(not_read(_head(source)))
    return PhotoError(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(MOST_PIXELS)
    if isinstance(error, ImportError):
        return f"in an HDF5 file, which h5py reads: pip install '{DISTRIBUTION}[train]'"
    reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return f"broken image ({reason[:_LONGEST_REASON]})"


def _head(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD]
    with Path(source).open("rb") as file:
        return file.read(HEAD)
