"""FashionIQ's files: exact counts, both galleries, and one message for what is wrong in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from composing import row, write_recipe, write_split
from recommending import refused_by

from metrics.common.errors import UserError
from recommend.retrieval.fashion_iq import Pair, photo_files, read_splits, single, with_photos
from recommend.retrieval.galleries import gallery
from recommend.retrieval.table1 import table1

IDS = ["B1", "B2", "B3", "B4"]
ROWS = [row("B2", "B1", "is red", "has  long sleeves"), row("B1", "B3", "is shorter", " ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        write_split(tmp_path, "dress", split, IDS, ROWS, photos=False)
    write_split(tmp_path, "dress", "test", ["T1", "T2"], [row(None, "T1", "is blue", "is long")], photos=False)
    labels = {"B1": [["dotted"], [], [], [], []], "B2": [[], [], [], [], []]}
    (tmp_path / "captions" / "asin2attr.dress.val.json").write_text(json.dumps(labels))
    return tmp_path


def test_the_official_layout_is_read_with_exact_counts(folder: Path) -> None:
    train, val, test = read_splits(folder, ["dress"])
    assert [(len(one.ids), one.with_labels, one.captions, len(one.pairs)) for one in (train, val, test)] == [
        (4, 0, 3, 2),
        (4, 1, 3, 2),
        (2, 0, 2, 1),
    ]
    assert val.pairs[0] == Pair("B1", ("is red", "has long sleeves"), "B2")
    assert val.pairs[0].text == "is red and has long sleeves"
    assert [pair.text for pair in single(val.pairs)] == ["is red", "has long sleeves", "is shorter"]
    assert (val.blank, val.has_targets, test.has_targets) == (1, True, False)
    assert [str(cell) for cell in table1([val]).columns[2].cells] == ["4 (3,817)"]


def test_the_two_galleries_differ(folder: Path) -> None:
    val = read_splits(folder, ["dress"])[1]
    assert gallery(val, "original") == IDS
    assert gallery(val, "union") == ["B1", "B2", "B3"]


def test_missing_photos_are_refused_or_dropped_with_their_pairs(folder: Path) -> None:
    for key in ("B1", "B2", "B4", "T1", "T2"):
        (folder / "images" / f"{key}.png").touch()
    photos = photo_files(folder / "images")
    splits = read_splits(folder, ["dress"])
    with pytest.raises(UserError, match=r"^B3: no photo of 1 ids; .* dataset\.missing=drop"):
        with_photos(splits, photos, "refuse")
    kept, lost = with_photos(splits, photos, "drop")
    assert lost == ["B3"]
    assert [(list(one.ids), len(one.pairs)) for one in kept[:2]] == [(["B1", "B2", "B4"], 1)] * 2


def break_ids(value: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "image_splits" / "split.dress.val.json").write_text(json.dumps(value)) and None


def break_captions(value: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "captions" / "cap.dress.val.json").write_text(json.dumps(value)) and None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_ids(["B1", "B2", "B1"]), "1 ids are there twice (B1)"),
        (break_ids(["S1", "S2"]), "B1 is not in split.dress.val.json; are both files of one category and split?"),
        (break_ids([]), "expected a list of ids as texts, found an empty list"),
        (break_ids(["B1", None]), "split.dress.val.json: expected a list of ids as texts, found None"),
        (break_ids({"B1": 1}), "expected a JSON list, found dict"),
        (break_captions([row("B2", "B9", "is red")]), "cap.dress.val.json, row 1: B9 is not in"),
        (break_captions([*ROWS, row("B2", "B1", "", " ")]), "row 3: all captions are empty"),
        (break_captions([row(None, "B1", "is red"), *ROWS]), 'some rows have a "target" and others none'),
        (
            break_captions([row(None, "B1", "is red")]),
            'dress, val: expected pairs with a "target", found 1 pairs without one',
        ),
        (break_captions([{"target": "B1"}]), 'row 1: expected an object with "candidate"'),
        (break_captions([row("B1", "B1", "is red")]), "the gallery union has 1 photo(s)"),
        (lambda folder: (folder / "captions" / "cap.dress.train.json").unlink(), "cap.dress.train.json: no such file"),
        (lambda folder: (folder / "captions" / "cap.dress.val.json").write_text("[1") and None, "not JSON"),
        (
            lambda folder: (folder / "captions" / "asin2attr.dress.val.json").write_text('{"B1": []}') and None,
            "asin2attr.dress.val.json, B1: expected five lists",
        ),
    ],
)
def test_damaged_files_end_in_one_message(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    for key in (*IDS, "T1", "T2"):
        (folder / "images" / f"{key}.jpg").touch()
    damage(folder)
    recipe = write_recipe(tmp_path / "recipe.yaml", folder, "efficientnet-lite0", dataset={"missing": "drop"})
    assert message in refused_by("compose-train", recipe)
