"""FACAD spoilt in every way: one message that names the file and the row, and nothing half-written."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tiny import prepared, recipe, refused
from tiny_facad import META, TEST, WORDS, encoded, put

from finetune.config.recipe import load_recipe
from finetune.data import mixture
from metrics.common.errors import UserError

Change = Callable[[Path], object]


def images(name: str, array: Any, data_set: str = "images") -> Change:
    def change(folder: Path) -> None:
        with h5py.File(folder / name, "w") as file:
            file[data_set] = array

    return change


def elsewhere(folder: Path) -> None:
    with h5py.File(folder / "VAL_IMAGES.hdf5", "w") as file:
        file.create_dataset("images", (2, 3, 6, 4), "u1", external=[(str(folder / "WORDMAP.json"), 0, 144)])


def cut(name: str, share: float) -> Change:
    def change(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])

    return change


def value(name: str, content: Any) -> Change:
    return lambda folder: put(folder / name, content)


CAPTIONS = [encoded(caption) for caption, _, _ in TEST]
NO_DATA_SET = "expected a data set 'images' of uint8 with shape (n, 3, height, width), found"
FAULTS: dict[str, tuple[Change, str]] = {
    "three dimensions": (images("VAL_IMAGES.hdf5", np.zeros((2, 6, 4), np.uint8)), f"{NO_DATA_SET} (2, 6, 4) of uint8"),
    "channels last": (
        images("VAL_IMAGES.hdf5", np.zeros((2, 6, 4, 3), np.uint8)),
        f"{NO_DATA_SET} (2, 6, 4, 3) of uint8",
    ),
    "floats": (images("VAL_IMAGES.hdf5", np.zeros((2, 3, 6, 4))), f"{NO_DATA_SET} (2, 3, 6, 4) of float64"),
    "another name": (images("VAL_IMAGES.hdf5", np.zeros((2, 3, 6, 4), np.uint8), "photos"), f"{NO_DATA_SET} photos"),
    "pixels in another file": (elsewhere, "expected the photos in the file itself, found them in other files"),
    "a group": (images("VAL_IMAGES.hdf5", np.zeros(3), "images/a"), f"{NO_DATA_SET} images"),
    "truncated": (cut("VAL_IMAGES.hdf5", 0.9), "VAL_IMAGES.hdf5: no HDF5 file, or a truncated one: "),
    "a stub": (cut("VAL_IMAGES.hdf5", 0.0), "VAL_IMAGES.hdf5: no HDF5 file, or a truncated one: "),
    "fewer photos": (
        images("TEST_IMAGES.hdf5", np.zeros((2, 3, 6, 4), np.uint8)),
        "TEST_CAPLENS.json: has more than 2 entries, but TEST_IMAGES.hdf5 beside it has 2 photos, and each entry",
    ),
    "fewer captions": (
        value("TEST_CAPTIONS.json", CAPTIONS[:1]),
        "cut short or of another release; copy both again from the same one",
    ),
    "more categories": (
        value("VAL_CATES_FLAT.json", [3, 3, 3]),
        "VAL_CATES_FLAT.json: has more than 2 entries, but VAL_IMAGES.hdf5 beside it has 2 photos",
    ),
    "no attributes": (
        value("VAL_ATTRS.json", []),
        "VAL_ATTRS.json: has 0 entries, but VAL_IMAGES.hdf5 beside it has 2 photos",
    ),
    "unknown word": (
        value("TEST_CAPTIONS.json", [*CAPTIONS[:2], [12, 1, 99, 1, 13]]),
        "TEST_CAPTIONS.json: row 2: word id 99 is not in WORDMAP; are they of one release?",
    ),
    "unknown attribute": (
        value("VAL_ATTRS.json", [[3], [3, 15]]),
        "VAL_ATTRS.json: row 1: word id 15 is not in WORDMAP",
    ),
    "a word for an id": (value("VAL_ATTRS.json", [["a"], [3]]), "VAL_ATTRS.json: row 0: word id 'a' is not in WORDMAP"),
    "no list": (value("VAL_ATTRS.json", [[3], 3]), "VAL_ATTRS.json: row 1: expected a list of word ids, found 3"),
    "caption too long": (
        value("TEST_CAPLENS.json", [5, 9, 5]),
        "TEST_CAPTIONS.json: row 1: its length is said to be 9, found 8 word ids",
    ),
    "no caption": (
        value("TEST_CAPTIONS.json", [None, *CAPTIONS[1:]]),
        "TEST_CAPTIONS.json: row 0: its length is said to be 5, found None",
    ),
    "category in words": (
        value("VAL_CATES_FLAT.json", [3, "hats"]),
        "VAL_CATES_FLAT.json: row 1: expected a category id, found 'hats'",
    ),
    "JSON cut off": (
        cut("TEST_CAPTIONS.json", 0.6),
        "TEST_CAPTIONS.json: row 1: not JSON; is the file truncated there?",
    ),
    "an object": (value("TEST_CAPLENS.json", {}), "TEST_CAPLENS.json: row 0: not a JSON list"),
    "word map a list": (value("WORDMAP.json", [1]), "WORDMAP.json: expected an object of words and their ids"),
    "word map with one id twice": (
        value("WORDMAP.json", WORDS | {"more": 3}),
        "WORDMAP.json: 15 words have 14 ids; every word needs its own",
    ),
    "meta with another description": (
        value("meta_all_2.json", [META[0], {**META[1], "description": 7}]),
        "meta_all_2.json: item 1: description: expected str, found 7",
    ),
    "meta without category id": (
        value("meta_all_2.json", [{"description": "A hat", "attr": [], "category": "hats"}]),
        "meta_all_2.json: item 0: categoryid: expected int, found None",
    ),
    "two meta files": (
        value("meta_all_3.json", []),
        "2 meta files: meta_all_2.json, meta_all_3.json; keep the one of this release",
    ),
    "both namings": (
        value("VAL_ATTRS_5.json", []),
        "VAL_ATTRS.json, VAL_ATTRS_5.json are two files of one kind; keep the one of this release",
    ),
    "missing files": (
        lambda folder: [(folder / name).unlink() for name in ("VAL_CATES_FLAT.json", "WORDMAP.json")],
        "2 of FACAD's files missing, with `_5` before the extension or without: WORDMAP.json, VAL_CATES_FLAT.json or "
        "VAL_CATES.json",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_refused_by_name(facad_recipe: Path, facad_folder: Path, fault: str) -> None:
    change, expected = FAULTS[fault]
    change(facad_folder)
    message = refused("prepare", facad_recipe)
    assert str(facad_folder) in message
    assert expected in message


@pytest.mark.parametrize("fault", ["floats", "truncated", "word map a list", "two meta files", "missing files"])
def test_validate_finds_what_needs_no_reading(facad_recipe: Path, facad_folder: Path, fault: str) -> None:
    change, expected = FAULTS[fault]
    change(facad_folder)
    with pytest.raises(UserError) as caught:
        mixture.check(load_recipe(facad_recipe).catalogues)
    assert expected in str(caught.value)


@pytest.mark.processes
def test_a_file_that_another_process_writes_is_named(facad_recipe: Path, facad_folder: Path) -> None:
    path = facad_folder / "TRAIN_IMAGES.hdf5"
    code = f"import h5py, sys; file = h5py.File({str(path)!r}, 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout and writer.stdout.readline() == "open\n"
        message = refused("prepare", facad_recipe)
        writer.communicate("")
    assert message.startswith(f"{path}: locked by a process that writes it; wait for it, or set HDF5_USE_FILE_LOCKING")
    prepared(facad_recipe)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(tmp_path / "gone")})
    assert refused("prepare", path) == f"data.folder: {tmp_path / 'gone'}: no such folder"


@pytest.mark.parametrize("wrong", ["2", "some", "[1]"])
def test_images_per_item_is_1_or_all(facad_recipe: Path, wrong: str) -> None:
    assert "data.images_per_item: expected 1 or 'all'" in refused(
        "prepare", facad_recipe, f"data.images_per_item={wrong}"
    )
