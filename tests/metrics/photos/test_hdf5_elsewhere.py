"""An HDF5 file must hold its photos itself: it could name any file of this machine as the place of its pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metrics.common.errors import UserError
from metrics.photos.hdf5 import hdf5_images
from metrics.photos.reading import load_photo
from metrics.photos.thumbnails import thumbnail_in

h5py = pytest.importorskip("h5py")
SHAPE = (1, 3, 8, 8)


def own(file: "h5py.File", secret: Path) -> None:
    file["images"] = np.zeros(SHAPE, np.uint8)


def external_storage(file: "h5py.File", secret: Path) -> None:
    file.create_dataset("images", SHAPE, "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(file: "h5py.File", secret: Path) -> None:
    file.create_dataset("raw", SHAPE, "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    layout = h5py.VirtualLayout(SHAPE, "u1")
    layout[:] = h5py.VirtualSource(file["raw"])
    file.create_virtual_dataset("images", layout)


def external_link(file: "h5py.File", secret: Path) -> None:
    with h5py.File(secret.with_name("other.hdf5"), "w") as other:
        own(other, secret)
    file["images"] = h5py.ExternalLink("other.hdf5", "/images")


def soft_link(file: "h5py.File", secret: Path) -> None:
    own(file, secret)
    file.move("images", "kept")
    file["images"] = h5py.SoftLink("/kept")


def huge_chunks(file: "h5py.File", secret: Path) -> None:
    file.create_dataset("images", (1, 3, 20_000, 20_000), "u1", chunks=(1, 3, 20_000, 20_000))


def huge_photos(file: "h5py.File", secret: Path) -> None:
    file.create_dataset("images", (1, 3, 20_000, 20_000), "u1", chunks=(1, 1, 100, 100))


def made(folder: Path, write: Callable[["h5py.File", Path], None]) -> Path:
    secret = folder / "id_rsa"
    secret.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----" * 20)
    with h5py.File(folder / "shop.hdf5", "w") as file:
        write(file, secret)
    return folder / "shop.hdf5"


def test_a_photo_in_the_file_itself_is_read(tmp_path: Path) -> None:
    assert load_photo(made(tmp_path, own) / "0").size == (8, 8)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (external_storage, "found them in other files"),
        (virtual, "found them in other files"),
        (external_link, "found a link to other.hdf5"),
        (soft_link, "found a link to /kept"),
        (huge_chunks, "are too large to be read"),
    ],
)
def test_pixels_elsewhere_are_refused(tmp_path: Path, write: Callable[["h5py.File", Path], None], reason: str) -> None:
    path = made(tmp_path, write)
    with pytest.raises(ValueError, match=reason):
        hdf5_images(path)
    with pytest.raises(UserError, match=reason):
        load_photo(path / "0")
    assert reason in str(thumbnail_in(tmp_path, "shop.hdf5/0").problem)


def test_photos_too_large_to_be_decoded_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="larger than 100 million pixels"):
        load_photo(made(tmp_path, huge_photos) / "0")
