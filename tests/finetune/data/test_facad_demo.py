"""The demo catalogue in FACAD's layout: real files of it, wrong test attributes and all."""

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from tiny import all_references, finetune, prepared, recipe, references, refused

from finetune.config.recipe import load_recipe

ARTICLES, SIDE = 60, 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds `shop`, the catalogue, and `out`, what `prepare` wrote of it."""
    root = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        (root / "printed").write_text(prepared(demo_recipe(root)))
    return root


def demo_recipe(root: Path, **data: Any) -> Path:
    section = {"catalogue": "demo", "layout": "facad", "folder": str(root / "shop")}
    return recipe(root, section | {"articles": ARTICLES, "photo_side": SIDE} | data)


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "shop" / name).read_text())


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_every_file_has_facad_s_shape(made: Path) -> None:
    words, total = read(made, "WORDMAP.json"), 0
    last = len(words) - 1
    assert [words[mark] for mark in ("<pad>", "<unk>", "<start>", "<end>")] == [0, last - 2, last - 1, last]
    widths = set()
    for name in ("TRAIN", "VAL", "TEST"):
        with h5py.File(made / "shop" / f"{name}_IMAGES.hdf5") as file:
            assert file["images"].dtype == np.uint8
            rows = len(file["images"])
            assert file["images"].shape == (rows, 3, SIDE, SIDE)
        columns = {
            column: read(made, f"{name}_{column}.json") for column in ("CAPTIONS", "CAPLENS", "ATTRS", "CATES_FLAT")
        }
        assert {len(values) for values in columns.values()} == {rows}
        for ids, length in zip(columns["CAPTIONS"], columns["CAPLENS"], strict=True):
            assert (ids[0], ids[length - 1], set(ids[length:])) in [(last - 1, last, {0}), (last - 1, last, set())]
        widths |= {len(ids) for ids in columns["CAPTIONS"]}
        total += rows
    assert len(widths) == 1
    assert 7 * ARTICLES < total < 8 * ARTICLES
    assert (
        sum(len(colour) - 1 for item in read(made, f"meta_all_{ARTICLES}.json") for colour in item["images"]) == total
    )


def test_some_captions_stand_in_training_and_in_the_test_split(tmp_path: Path) -> None:
    prepared(demo_recipe(tmp_path, articles=400, photo_side=16))
    seen = [record["seen"] for record in references(tmp_path, "test")]
    assert 0.03 < np.mean(seen) < 0.4
    records = all_references(tmp_path).values()
    assert 0.85 < len({record["references"][0] for record in records}) / 400 < 1


def test_distributed_test_attributes_are_wrong_and_are_repaired(made: Path) -> None:
    names = {number: word for word, number in read(made, "WORDMAP.json").items()}
    distributed = [
        ", ".join(names[number] for number in ids if names[number] != "nah") for ids in read(made, "TEST_ATTRS.json")
    ]
    right = {item["description"].lower(): item["attr"] for item in read(made, f"meta_all_{ARTICLES}.json")}
    wrong = 0
    for record, given in zip(references(made, "test"), distributed, strict=True):
        caption = record["references"][0]
        expected = next(attributes for text, attributes in right.items() if caption in text)
        assert record["attributes"]["attributes"] == ", ".join(word for word in expected if word != "nah")
        wrong += given != record["attributes"]["attributes"]
    assert wrong > len(distributed) / 2
    assert "distinct captions sought among 60 items of meta_all_60.json" in (made / "printed").read_text()
    assert "as published" not in (made / "printed").read_text()


def test_facad_s_own_section_reads_it(made: Path, tmp_path: Path) -> None:
    prepared(recipe(tmp_path, {"catalogue": "facad", "folder": str(made / "shop")}))
    assert all_references(tmp_path) == all_references(made)


def test_same_numbers_same_bytes(made: Path, tmp_path: Path) -> None:
    prepared(demo_recipe(tmp_path))
    assert digests(tmp_path / "shop") == digests(made / "shop")
    prepared(demo_recipe(tmp_path, folder=str(tmp_path / "other"), seed=1))
    assert digests(tmp_path / "other")["TRAIN_IMAGES.hdf5"] != digests(made / "shop")["TRAIN_IMAGES.hdf5"]


def test_photos_of_an_item_differ_and_show_a_garment(made: Path) -> None:
    with h5py.File(made / "shop" / "TRAIN_IMAGES.hdf5") as file:
        photos = file["images"][:7].astype(int)
    assert len({photo.tobytes() for photo in photos}) == 7
    for photo in photos:
        assert (np.abs(photo - photo[:, :1, :1]).max(0) > 40).mean() > 0.08


def test_layouts_do_not_share_a_folder(made: Path, tmp_path: Path) -> None:
    def folder(**data: Any) -> str:
        path = tmp_path / "default.yaml"
        values = {"output": "out", "model": {"base": "base"}, "data": {"catalogue": "demo", **data}}
        path.write_text(yaml.safe_dump(values))
        return str(load_recipe(path).data.folder)  # type: ignore[union-attr]

    assert folder() != folder(layout="facad")
    assert folder(layout="facad", folder="mine") == "mine"
    other = recipe(tmp_path, {"catalogue": "demo", "folder": str(made / "shop"), "articles": ARTICLES})
    message = refused("prepare", other)
    assert message.startswith(f"{made / 'shop'}: contains a demo catalogue of ")
    assert "layout facad" in message
    assert "layout (none)" in message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"layout": "hm"}, "photo_side is a key of layout: facad; photos of layout: hm are 240 x 360"),
        ({"photo_side": 8}, "data.photo_side: expected a number greater than or equal to 16"),
        ({"articles": 2}, "demo catalogue: articles must be 3 to 900000, found 2"),
        ({"layout": "facade"}, "data.layout: expected 'hm', 'facad' or 'fashion-product'"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    assert expected in refused("prepare", demo_recipe(tmp_path, **data))
    assert not (tmp_path / "shop").exists()


def test_urls_are_those_of_the_photos(made: Path, tmp_path: Path) -> None:
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(made / "shop")})
    assert finetune("image-urls", path, tmp_path / "urls.csv").exit_code == 0
    lines = (tmp_path / "urls.csv").read_text().splitlines()
    assert len(lines) - 1 == len(all_references(made))
    assert all(line.endswith(".jpeg") and "https://example.com/" in line for line in lines[1:])
