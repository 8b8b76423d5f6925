"""What a table or a folder calls photos: each name says what is wrong with it, and all are named in one go."""

import os
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from tiny import captioned, finetune, kaggle_photo, photo, prepared, recipe, refused, write_csv

from finetune.config.recipe import load_recipe
from finetune.data.preparation import Prepared, prepare
from metrics.photos.formats import formats


def shop(root: Path, names: list[str], **data: Any) -> Path:
    """A recipe for twelve photos, and a row more for each of the names."""
    rows = captioned(root / "photos", 12)
    rows += [{"file_name": name, "text": f"A bag, number {place}.", "kind": "bag"} for place, name in enumerate(names)]
    write_csv(root / "photos" / "metadata.csv", rows)
    columns = {"caption": "text", "category": "kind"}
    return recipe(root, {"catalogue": "folder", "folder": str(root / "photos"), "columns": columns} | data)


def load(path: Path, *overrides: str) -> Prepared:
    return prepare(load_recipe(path, overrides).data)


def test_each_name_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("img/0.jpg", "Twice.jpg", "tWice.jpg", "plain.jpg"):
        photo(photos / name)
    (photos / "dangling.jpg").symlink_to(photos / "nowhere.jpg")
    os.mkfifo(photos / "pipe.jpg")
    outside = photo(tmp_path / "outside.jpg")
    expected = {
        "": "the cell is empty",
        "gone.jpg": f"no such file in {photos}",
        "../outside.jpg": f"outside {photos}",
        str(outside): f"outside {photos}",
        "https://shop.example/0.jpg": "a URL",
        "file:///tmp/0.jpg": "a URL",
        "img\\0.jpg": "has backslashes; write 'img/0.jpg'",
        "img\0.jpg": "has a NUL character",
        " plain.jpg ": "has blanks around the name of the file 'plain.jpg'",
        "twice.jpg": f"no such file in {photos}; Twice.jpg, tWice.jpg differ from it in case or Unicode form",
        "img": f"a folder in {photos}",
        "pipe.jpg": f"a pipe in {photos}",
        "long" * 200: "cannot be read: File name too long",
        "dangling.jpg": f"a link to {photos / 'nowhere.jpg'}, where there is no file",
    }
    path = shop(tmp_path, list(expected))
    message = refused("prepare", path)
    assert message.startswith(f"{len(expected)} photo(s) of {photos} cannot be used:")
    assert message.count("metadata.csv: row ") == 10
    account = load(path, "data.on_bad_image=skip").account
    assert len(account.dropped["bad image"]) == len(account.bad_images) == len(expected)
    for row, (name, problem) in enumerate(expected.items(), 14):
        assert f"metadata.csv: row {row}: image {name!r}: {problem}" in "\n".join(account.bad_images)
    assert sum(account.split.sizes.values()) == 12


def test_names_may_differ_in_case_and_unicode_form(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "Café.JPG")
    photo(tmp_path / "photos" / "deep" / "B.png")
    path = shop(tmp_path, [unicodedata.normalize("NFD", "café.jpg"), "Deep/b.PNG"])
    account = load(path).account
    assert account.bad_images == []
    assert sum(account.split.sizes.values()) == 14


def test_an_absolute_path_through_a_link_to_the_folder_is_inside_it(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "named.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    path = shop(tmp_path, [str(tmp_path / "link" / "named.jpg")], folder=str(tmp_path / "link"))
    assert sum(load(path).account.split.sizes.values()) == 13


def test_missing_and_broken_photos_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "text.jpg").write_text("no picture")
    path = shop(tmp_path, ["gone.jpg", "text.jpg"])
    message = refused("prepare", path)
    assert message.startswith("2 photo(s)")
    assert "image 'gone.jpg': no such file" in message
    assert "text.jpg: not an image" in message
    printed = prepared(path, "data.on_bad_image=skip")
    assert "        2  bad image" in printed
    assert "image 'gone.jpg': no such file" in printed


def test_null_images_of_a_data_set_are_skipped_as_broken_ones(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    secret = photo(tmp_path / "secret.png")
    rows = [
        {"image": {"bytes": photo(tmp_path / "a.png", (n, 0, 0)).read_bytes(), "path": None}, "text": f"A top {n}."}
        for n in range(12)
    ]
    rows[2]["image"] = None
    rows[4]["image"] = {"bytes": None, "path": str(secret)}
    rows[6]["image"] = {"bytes": b"no picture", "path": None}
    pd.DataFrame(rows).to_parquet(tmp_path / "shop" / "train.parquet")
    data = {"catalogue": "folder", "dataset": str(tmp_path / "shop"), "columns": {"image": "image", "caption": "text"}}
    path = recipe(tmp_path, data)
    message = refused("prepare", path)
    assert message.startswith("3 photo(s)")
    assert "row 2: no image" in message
    assert f"row 4: image '{secret}': outside the data set" in message
    assert sum(load(path, "data.on_bad_image=skip").account.split.sizes.values()) == 9
    assert sum(load(path, "data.on_bad_image=skip", "data.outside=read").account.split.sizes.values()) == 10


def test_photos_alone_are_known_by_their_content(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    given = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c": "PNG", "d.avif": "AVIF", "e.dat": "WEBP"}
    photos.mkdir()
    for place, (name, form) in enumerate(given.items()):
        if form in formats():
            with (photos / name).open("wb") as file:
                Image.new("RGB", (8, 8), (place, 0, 0)).save(file, form)
    (photos / "notes.txt").write_text("no image")
    (photos / "prices.pdf").write_bytes(b"%PDF-1.4")
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(photos)})
    printed = prepared(path)
    assert "        2  no photo (notes.txt, prices.pdf)" in printed
    found = {name for name, form in given.items() if form in formats()}
    assert set(load(path).splits["undescribed"]["id"]) == found


@pytest.mark.skipif("HEIF" in formats(), reason="the extra heic is installed")
def test_heic_is_named_with_the_extra_that_reads_it(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos")})
    assert "IMG_1.HEIC: HEIC, which the extra heic reads: pip install 'lookbook-captions[heic]'" in refused(
        "prepare", path
    )


def test_names_that_are_not_utf_8_are_named_or_no_names_of_articles(
    tmp_path: Path, shop_recipe: Path, shop: Path
) -> None:
    latin = os.fsdecode(b"caf\xe9.jpg")
    alone = tmp_path / "alone"
    photo(alone / "photos" / "a.png")
    photo(tmp_path / "b.png").rename(alone / "photos" / latin)
    path = recipe(alone, {"catalogue": "folder", "folder": str(alone / "photos")})
    assert "caf\\xe9.jpg: its name is not UTF-8; rename the file" in refused("prepare", path)
    assert "1  undescribed" in prepared(path, "data.on_bad_image=skip")
    photo(tmp_path / "b.jpg").rename(shop / "images" / "010" / latin)
    result = finetune("prepare", shop_recipe)
    assert result.exit_code == 0, result.output


def test_links_out_of_the_folder_are_read_if_the_recipe_says_so(tmp_path: Path) -> None:
    store = photo(tmp_path / "store" / "a.png")
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.png").symlink_to(store)
    photo(tmp_path / "photos" / "own.png")
    path = recipe(tmp_path, {"catalogue": "folder", "folder": str(tmp_path / "photos")})
    message = refused("prepare", path)
    assert message.startswith("3 photo(s)")
    assert (
        f"0.png: a link leads out of {tmp_path / 'photos'}, to {store}; if you trust it, set data.outside: read"
        in message
    )
    assert "4  undescribed" in prepared(path, "data.outside=read")


def test_photos_of_articles_are_known_by_their_content_too(shop: Path, shop_recipe: Path) -> None:
    jpeg = kaggle_photo(shop, "0100000003")
    photo(jpeg.with_suffix(".webp"))
    jpeg.with_suffix(".webp").rename(jpeg.with_suffix(".dat"))
    jpeg.unlink()
    jpeg.with_suffix(".txt").write_text("no photo")
    loaded = load(shop_recipe)
    assert loaded.account.dropped["no photo"] == []
    assert "images/010/0100000003.dat" in {name for split in loaded.splits.values() for name in split["file"]}
