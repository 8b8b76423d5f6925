"""The catalogue `facad`: its two namings, its texts, its splits, and the notes on it."""

import csv
import json
from pathlib import Path

import pytest
from tiny import all_references, article, finetune, kaggle, prepared, recipe, references, refused
from tiny_facad import META, TEST, TRAIN, VALIDATION, WORDS, encoded, facad, put

from finetune.config.recipe import load_recipe
from finetune.data import preparation
from finetune.data.account import Account


def account(path: Path, *overrides: str) -> Account:
    return preparation.prepare(load_recipe(path, overrides).data).account


def test_texts_and_splits_are_those_of_the_files(facad_recipe: Path, tmp_path: Path) -> None:
    prepared(facad_recipe)
    for name, photos in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        records = references(tmp_path, name)
        assert [record["id"] for record in records] == [f"{name}-{row:06d}" for row in range(len(photos))]
        assert [record["references"] for record in records] == [[caption] for caption, _, _ in photos]
        assert [record["category"] for record in records] == [{3: "dresses", 5: "hats"}[kind] for _, kind, _ in photos]
    train = references(tmp_path, "train")
    assert [record["image"] for record in train] == [f"TRAIN_IMAGES.hdf5/{row}" for row in range(4)]
    shown = [record["attributes"].get("attributes") for record in train]
    assert shown == ["cotton, floral", "cotton, floral", "wool", None]


def test_neighbours_with_one_caption_are_photos_of_one_item(facad_recipe: Path, tmp_path: Path) -> None:
    printed = prepared(facad_recipe)
    records = all_references(tmp_path)
    products = {id_: record["product_id"] for id_, record in records.items()}
    repeated = {"train-000001": "train-000000", "test-000001": "test-000000"}
    assert products == {id_: repeated.get(id_, id_) for id_ in records}
    assert [records[f"test-00000{row}"]["seen"] for row in range(3)] == [False, False, True]
    assert "leak audit of 3 test items with 2 distinct captions" in printed
    assert "33.3%  captions that are verbatim in training" in printed
    assert "0.0%  items with a sibling of the same product in training" in printed


def test_test_attributes_are_repaired_and_the_match_rate_reported(facad_recipe: Path, tmp_path: Path) -> None:
    printed = prepared(facad_recipe)
    found = [record["attributes"]["attributes"] for record in references(tmp_path, "test")]
    assert found == ["floral, hat", "floral, hat", "red, cotton"]
    assert "2 distinct captions sought among 2 items of meta_all_2.json" in printed
    assert "100.0% found with every word, mean overlap 1.000" in printed
    assert "0.0% (0) found with less than half of their words: no attributes" in printed


def test_captions_that_match_nothing_get_no_attributes_and_are_shown(tmp_path: Path) -> None:
    # "blue wool cotton silk" shares nothing, "red dress cotton silk wool" 2 of 5 words, "a red hat silk" 2 of 4
    test = [(text, 3, "wool") for text in ("blue wool cotton silk", "red dress cotton silk wool", "a red hat silk")]
    folder = facad(tmp_path / "facad", (TRAIN, VALIDATION, test))
    path = recipe(tmp_path, {"catalogue": "facad", "folder": str(folder)})
    printed = prepared(path)
    found = [record["attributes"].get("attributes") for record in references(tmp_path, "test")]
    assert found == [None, None, "floral, hat"]
    assert "0.0% found with every word, mean overlap 0.300" in printed
    assert "66.7% (2) found with less than half of their words: no attributes" in printed
    assert "0.00 'blue wool cotton silk' against ''" in printed
    assert "0.40 'red dress cotton silk wool' against 'A red dress'" in printed
    assert account(path).notes["repair of the test attributes"][2].startswith("66.7% (2)")


def test_what_differs_from_the_published_counts_is_named(facad_recipe: Path) -> None:
    printed = prepared(facad_recipe)
    for line in (
        "train: 4 found, 888,293 published (-888,289)",
        "validation: 2 found, 19,915 published (-19,913)",
        "test: 3 found, 101,225 published (-101,222)",
        "categories: 2 found, 78 published (-76)",
        "attributes: 4 found, 990 published (-986)",
    ):
        assert f"  {line}\n" in printed


@pytest.mark.parametrize("some", ["", "TRAIN", "_IMAGES"])
def test_files_may_bear_a_5(tmp_path: Path, some: str) -> None:
    plain, five = facad(tmp_path / "plain"), facad(tmp_path / "five")
    for path in [path for path in five.iterdir() if some in path.name and path.name[0] in "TV"]:
        path.rename(path.with_stem(f"{path.stem}_5"))
    found = []
    for folder in (plain, five):
        prepared(recipe(tmp_path, {"catalogue": "facad", "folder": str(folder)}))
        found.append({id_: {**record, "image": None} for id_, record in all_references(tmp_path).items()})
    assert found[0] == found[1]


def test_categories_may_be_lists_of_one(facad_recipe: Path, facad_folder: Path, tmp_path: Path) -> None:
    prepared(facad_recipe)
    flat = all_references(tmp_path)
    for name in ("TRAIN", "VAL", "TEST"):
        numbers = json.loads((facad_folder / f"{name}_CATES_FLAT.json").read_text())
        (facad_folder / f"{name}_CATES_FLAT.json").unlink()
        put(facad_folder / f"{name}_CATES.json", [[number] for number in numbers])
    prepared(facad_recipe)
    assert all_references(tmp_path) == flat


def test_unknown_words_are_left_out_and_counted(facad_recipe: Path, facad_folder: Path, tmp_path: Path) -> None:
    rows = [encoded(caption) for caption, _, _ in TRAIN]
    for row in (0, 1):
        rows[row][2] = WORDS["<unk>"]
    put(facad_folder / "TRAIN_CAPTIONS.json", rows)
    assert "<unk> is 11, <start> is 12, <end> is 13; 2 unknown words left out" in prepared(facad_recipe)
    assert [record["references"] for record in references(tmp_path, "train")][:2] == [["a dress"]] * 2


def test_marks_without_names_are_the_highest_ids(facad_recipe: Path, facad_folder: Path, tmp_path: Path) -> None:
    prepared(facad_recipe)
    named = all_references(tmp_path)
    put(facad_folder / "WORDMAP.json", {word.strip("<>").upper(): number for word, number in WORDS.items()})
    assert "<end> is 13 (the three highest ids: none has such a name); 0 unknown" in prepared(facad_recipe)
    assert all_references(tmp_path) == named  # and the words are in lower case


def test_one_photo_an_item(facad_recipe: Path, tmp_path: Path) -> None:
    printed = prepared(facad_recipe, "data.images_per_item=1")
    assert sorted(all_references(tmp_path)) == [
        *("test-000000", "test-000002", "train-000000", "train-000002", "train-000003"),
        *("validation-000000", "validation-000001"),
    ]
    dropped = account(facad_recipe, "data.images_per_item=1").dropped
    assert dropped["further photo of an item"] == ["train-000001", "test-000001"]
    assert "2  further photo of an item" in printed
    assert "leak audit of 2 test items with 2 distinct captions" in printed


def test_the_product_split_keeps_items_whole(tmp_path: Path) -> None:
    texts = [" ".join(words) for words in (("red", "hat"), ("a", "hat"), ("wool", "hat"), ("silk", "dress"))]
    photos = [(text, 3, "") for text in texts for _ in range(3)]
    folder = facad(tmp_path / "facad", (photos, photos[:3], photos[3:6]))
    data = {
        "catalogue": "facad",
        "folder": str(folder),
        "split": {"method": "product", "train": 0.5, "validation": 0.25},
    }
    prepared(recipe(tmp_path, data))
    parts = [
        {record["references"][0] for record in references(tmp_path, name)} for name in ("train", "validation", "test")
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 4


def test_without_a_meta_file_nothing_is_repaired_and_that_is_said(
    facad_recipe: Path, facad_folder: Path, tmp_path: Path
) -> None:
    (facad_folder / "meta_all_2.json").unlink()
    printed = prepared(facad_recipe)
    assert "skipped: no meta_all_*.json; as distributed, they may be those of other items" in printed
    assert "called by their numbers: no meta_all_*.json has their names" in printed
    records = references(tmp_path, "test")
    assert [record["attributes"]["attributes"] for record in records] == ["silk", "silk", "wool"]
    assert [record["category"] for record in records] == ["5", "5", "3"]


def test_a_category_that_the_meta_file_lacks_is_named(facad_recipe: Path, facad_folder: Path, tmp_path: Path) -> None:
    put(facad_folder / "VAL_CATES_FLAT.json", [3, 77])
    assert "1 have no name in meta_all_2.json, called by their numbers: 77 (1 photos)" in prepared(facad_recipe)
    assert [record["category"] for record in references(tmp_path, "validation")] == ["dresses", "77"]


def test_categories_that_cannot_be_distinguished_are_named(facad_recipe: Path, facad_folder: Path) -> None:
    again, other = {**META[1], "category": "gowns"}, {**META[1], "categoryid": 9, "category": "hats"}
    put(facad_folder / "meta_all_2.json", [*META, again, other])
    printed = prepared(facad_recipe)
    assert "1 have several names in meta_all_2.json, called by the last: 3" in printed
    assert "1 names stand for several numbers, which become one category: hats" in printed


def test_a_description_that_has_gone_is_sought_in_the_details(facad_recipe: Path, facad_folder: Path) -> None:
    """As FACAD's README says of items whose description is no longer there."""
    put(
        facad_folder / "meta_all_2.json",
        [{**META[0], "description": None}, {**META[1], "description": None, "detail_info": "A red dress"}],
    )
    assert "50.0% found with every word" in prepared(facad_recipe)


def test_photos_without_a_caption_are_undescribed(facad_recipe: Path, facad_folder: Path) -> None:
    rows = [encoded(caption) for caption, _, _ in TRAIN]
    rows[3] = encoded("")
    put(facad_folder / "TRAIN_CAPTIONS.json", rows)
    put(facad_folder / "TRAIN_CAPLENS.json", [5, 5, 5, 2])
    found = account(facad_recipe)
    assert found.dropped["no caption"] == ["train-000003"]
    assert found.split.sizes == {"train": 3, "validation": 2, "test": 3, "undescribed": 1}


def test_image_urls_are_listed_and_nothing_is_fetched(facad_recipe: Path, tmp_path: Path) -> None:
    result = finetune("image-urls", facad_recipe, tmp_path / "urls.csv")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'urls.csv'}: 6 URLs\n")
    with (tmp_path / "urls.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["id", "title", "colour", "position", "url"],
        ["1", "Hat", "Red", "0", "https://x.org/1.jpeg"],
        ["1", "Hat", "Red", "1", "https://x.org/2.jpeg"],
        ["2", "Dress, red", "Red", "0", "https://x.org/3.jpeg"],
        ["2", "Dress, red", "Red", "9", "https://x.org/4.png"],
        ["2", "Dress, red", "Red", "10", "https://x.org/5.jpeg"],
        ["2", "Dress, red", "Blue", "0", "https://x.org/6.JPG"],
    ]


def test_image_urls_need_facad_and_its_meta_file(facad_recipe: Path, facad_folder: Path, tmp_path: Path) -> None:
    (facad_folder / "meta_all_2.json").unlink()
    assert refused("image-urls", facad_recipe, tmp_path / "urls.csv").startswith(f"{facad_folder}: no meta_all_*.json")
    shop = kaggle(tmp_path / "hm", [article(0)])
    other = recipe(tmp_path, {"catalogue": "hm", "folder": str(shop)})
    expected = f"{other}: data.catalogue: image-urls needs one catalogue, facad; found hm"
    assert refused("image-urls", other, tmp_path / "urls.csv") == expected
    assert not (tmp_path / "urls.csv").exists()
