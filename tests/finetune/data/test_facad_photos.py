"""Photos in HDF5 files: read when they are asked for, in any order, by several workers and processes at once."""

import json
import multiprocessing
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tiny import finetune, recipe, refused
from tiny_facad import TRAIN, encoded, facad, pixels, put
from tiny_models import write_recipe
from torch.utils.data import DataLoader

from finetune.__main__ import app
from finetune.config.recipe import load_recipe
from finetune.data import preparation
from finetune.data.photo_check import check_photos
from metrics.common.errors import UserError
from metrics.photos.hdf5 import hdf5_images
from metrics.photos.reading import load_photo

COUNT = 40


def numbered(rows: list[dict[str, Any]]) -> list[tuple[int, np.ndarray]]:
    """The row's number and its photo's pixels (3, height, width)."""
    return [(int(row["id"][-6:]), np.asarray(row["image"]).transpose(2, 0, 1)) for row in rows]


@pytest.fixture
def data(tmp_path: Path) -> Any:
    texts = [(f"{('a', 'red')[row % 2]} hat", 3, "") for row in range(COUNT)]
    folder = facad(tmp_path / "facad", (texts, TRAIN, TRAIN))
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(folder)})
    return preparation.prepare(load_recipe(path).data).splits["train"]


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_any_row_in_any_order(data: Any, method: str) -> None:
    numbered([data[7], data[3]])  # this process has the file open when the workers start
    settings = {"num_workers": 2, "multiprocessing_context": method, "persistent_workers": True}
    loader = DataLoader(data, batch_size=3, shuffle=True, collate_fn=numbered, **settings)
    for _ in range(2):
        found = [pair for batch in loader for pair in batch]
        assert sorted(row for row, _ in found) == list(range(COUNT))
        assert [row for row, _ in found] != list(range(COUNT))
        for row, photo in found:
            np.testing.assert_array_equal(photo, pixels(0, row))
        np.testing.assert_array_equal(numbered([data[11]])[0][1], pixels(0, 11))


def _read(path: str) -> list[Any]:
    return [np.asarray(load_photo(f"{path}/{row}")).transpose(2, 0, 1).tolist() for row in (5, 0, 31)]


@pytest.mark.processes
def test_processes_that_share_an_open_file_do_not_disturb_each_other(data: Any) -> None:
    path = re.sub(r"/\d+$", "", data.with_format("arrow")[0]["image"][0].as_py()["path"])
    expected = [pixels(0, row).tolist() for row in (5, 0, 31)]
    assert _read(path) == expected
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(_read, [path] * 30) == [expected] * 30


def test_sizes_are_counted_and_rows_that_are_not_there_named(tmp_path: Path) -> None:
    folder = facad(tmp_path / "facad")
    checked = check_photos([f"{folder}/VAL_IMAGES.hdf5/{row}" for row in range(3)], "checking")
    assert (checked.broken, checked.sizes) == ({2: "broken image (row 2 of 2)"}, {"4 x 6": 2})
    with pytest.raises(UserError, match=r"VAL_IMAGES\.hdf5/2: broken image \(row 2 of 2\)"):
        load_photo(folder / "VAL_IMAGES.hdf5" / "2")


def test_damage_inside_a_file_is_named_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "images.hdf5"
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
        file.create_dataset("images", data=values, chunks=(1, 3, 32, 32), compression="gzip")
        start = file["images"].id.get_chunk_info(2).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[start : start + 200] = bytes(200)
    path.write_bytes(damaged)
    assert len(hdf5_images(path)) == 4
    np.testing.assert_array_equal(np.asarray(load_photo(path / "1")).transpose(2, 0, 1), values[1])
    with pytest.raises(UserError, match=rf"{path}/2: broken image .*is the file damaged"):
        load_photo(path / "2")


def damage(path: Path, row: int) -> None:
    """Store the photos compressed, and spoil one of them."""
    with h5py.File(path, "r+") as file:
        values = file["images"][:]
        del file["images"]
        file.create_dataset("images", data=values, chunks=(1, *values.shape[1:]), compression="gzip")
        start = file["images"].id.get_chunk_info(row).byte_offset
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(8))


def test_a_damaged_photo_is_named_before_training_or_left_out(tmp_path: Path) -> None:
    folder = facad(tmp_path / "facad")
    damage(folder / "TRAIN_IMAGES.hdf5", 2)
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(folder)})
    assert "TRAIN_IMAGES.hdf5/2: broken image (cannot be read, is the file damaged?" in refused("prepare", path)
    assert "  3  train" in finetune("prepare", path, "data.on_bad_image=skip").stdout


def test_a_changed_file_is_opened_and_prepared_again(tmp_path: Path) -> None:
    folder = facad(tmp_path / "facad")
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(folder)})
    first = preparation.prepare(load_recipe(path).data).account.fingerprint
    assert preparation.prepare(load_recipe(path).data).account.fingerprint == first
    with h5py.File(folder / "new.hdf5", "w") as file:
        file["images"] = np.full((3, 3, 8, 8), 9, np.uint8)
    (folder / "new.hdf5").replace(folder / "TEST_IMAGES.hdf5")
    again = preparation.prepare(load_recipe(path).data)
    assert again.account.fingerprint != first
    assert np.asarray(again.splits["test"][0]["image"]).tolist() == [[[9] * 3] * 8] * 8
    assert again.account.image_sizes == {"4 x 6": 6, "8 x 8": 3}
    put(folder / "VAL_CAPTIONS.json", [encoded("a hat")] * 2)
    put(folder / "VAL_CAPLENS.json", [4, 4])
    assert preparation.prepare(load_recipe(path).data).account.fingerprint != again.account.fingerprint


@pytest.mark.processes
@pytest.mark.slow
def test_a_run_on_photos_in_hdf5_files_goes_from_training_to_captions(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    data = {"layout": "facad", "articles": 40, "photo_side": 16}
    path = write_recipe(tmp_path, data=data, training={"epochs": 1, "workers": 2})
    result = CliRunner().invoke(app, ["train", str(path)])
    assert result.exit_code == 0, result.output
    out = tmp_path / "captions.jsonl"
    arguments = ["caption", "--model", str(tmp_path / "run"), "--data", str(path), "--split", "test", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--set", "decoding.max_new_tokens=4"])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["image"] for record in records][:2] == ["TEST_IMAGES.hdf5/0", "TEST_IMAGES.hdf5/1"]
