"""Prepared catalogues that are damaged are made again; those that merely could not be read stay."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT
from tiny import finetune, prepared

# In a process of its own that may open no further file.
NO_FILE_LEFT = """
import os, resource, sys
from pathlib import Path
from finetune.data.arrow_cache import is_whole
from finetune.data.photo_check import check_photos
from metrics.common.errors import UserError

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
for read in (lambda: is_whole(Path(sys.argv[1])), lambda: check_photos([sys.argv[2]], "photos")):
    try:
        print(read())
    except UserError as error:
        print(error)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.processes
def test_too_many_open_files_are_no_damage(shop: Path, shop_recipe: Path, lookbook_cache: Path) -> None:
    prepared(shop_recipe)
    (folder,) = lookbook_cache.glob("*-*")
    before = contents(folder)
    photo = next(shop.rglob("*.jpg"))
    child = subprocess.run(
        [sys.executable, "-c", NO_FILE_LEFT, folder, photo], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    reason = "cannot be read: Too many open files; raise the limit of open files (ulimit -n)"
    assert child.stdout.splitlines() == [f"{folder}: {reason}", f"{photo}: {reason}"]
    assert contents(folder) == before


@pytest.mark.parametrize(
    "damaged",
    [
        "train/data-00000-of-00001.arrow",
        "test/state.json",
        "validation/dataset_info.json",
        "account.json",
        "items.parquet",
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.6, None])
def test_a_damaged_catalogue_is_made_again(
    shop_recipe: Path, lookbook_cache: Path, damaged: str, share: float | None
) -> None:
    prepared(shop_recipe)
    (folder,) = lookbook_cache.glob("*-*")
    before = contents(folder)
    if share is None:
        (folder / damaged).unlink()
    else:
        (folder / damaged).write_bytes(before[damaged][: int(len(before[damaged]) * share)])
    prepared(shop_recipe)
    assert [path.name for path in lookbook_cache.glob("*-*")] == [folder.name]
    assert contents(folder).keys() == before.keys()
    assert contents(folder)[damaged] == before[damaged]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("by", ["removal", "another split"])
def test_a_split_that_lacks_items_is_made_again(shop_recipe: Path, lookbook_cache: Path, split: str, by: str) -> None:
    prepared(shop_recipe)
    (folder,) = lookbook_cache.glob("*-*")
    before = contents(folder)
    references = [path.read_bytes() for path in sorted((shop_recipe.parent / "out").glob("references-*"))]
    shutil.rmtree(folder / split)
    if by == "another split":
        shutil.copytree(folder / ("train" if split != "train" else "test"), folder / split)
    result = finetune("prepare", shop_recipe)
    assert result.exit_code == 0, result.output
    assert f"note: {folder}: this prepared catalogue is damaged; it is made again" in result.stderr
    assert contents(folder).keys() == before.keys()
    assert [path.read_bytes() for path in sorted((shop_recipe.parent / "out").glob("references-*"))] == references


def test_an_empty_folder_of_that_name_is_filled(shop_recipe: Path, lookbook_cache: Path) -> None:
    prepared(shop_recipe)
    (folder,) = lookbook_cache.glob("*-*")
    before = contents(folder).keys()
    shutil.rmtree(folder)
    folder.mkdir()
    prepared(shop_recipe)
    assert contents(folder).keys() == before


def test_what_was_not_written_here_is_never_removed(shop_recipe: Path, lookbook_cache: Path) -> None:
    prepared(shop_recipe)
    (folder,) = lookbook_cache.glob("*-*")
    (folder / "account.json").unlink()
    (folder / "notes.txt").write_text("mine")
    result = finetune("prepare", shop_recipe)
    assert result.exit_code == 2
    assert f"{folder}: expected a prepared catalogue, found a damaged one with notes.txt" in result.stderr
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "train").is_dir()
