"""Photos and captions that are the same although they are written differently never cross a product split."""

import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import finetune, lines, prepared, recipe, refused, write_csv

from finetune.data import similar_photos
from finetune.data.photo_check import check_photos
from finetune.data.similar_photos import neighbourhoods, similar_groups, similar_to

SPLITS = ("train", "validation", "test")
COLUMNS = {"caption": "text", "id": "id"}
LARGE = (160, 240)  # a JPEG of it is decoded at a fraction


def noise(path: Path, seed: int, size: tuple[int, int] = (24, 36), **options: Any) -> Path:
    """A photo like no other: coarse noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


def shop(folder: Path, rows: list[dict[str, str]], **keys: Any) -> Path:
    write_csv(folder / "shop" / "metadata.csv", rows)
    return recipe(folder, {"catalogue": "folder", "folder": str(folder / "shop"), "columns": COLUMNS} | keys)


def records(folder: Path, split: str) -> list[dict[str, Any]]:
    return lines(folder / "out" / f"references-{split}.jsonl")


def photos_in_common(folder: Path) -> set[str]:
    train, test = ({record["photo_digest"] for record in records(folder, split)} for split in ("train", "test"))
    return train & test


def captions_of_photos(folder: Path, copies: bool, photos: int = 20) -> list[dict[str, str]]:
    """Photos with five captions each, in one file or in five whose bytes differ."""
    rows = []
    for number in range(5 * photos):
        name = f"{number // 5}.png" if not copies else f"{number}.png"
        if copies or number % 5 == 0:
            noise(folder / "shop" / name, number // 5, compress_level=1 + number % 5)
        rows.append({"file_name": name, "id": f"{number:03d}", "text": f"thing {number}"})
    return rows


@pytest.mark.parametrize("copies", [False, True])
def test_a_photo_of_several_captions_is_in_one_split(tmp_path: Path, copies: bool) -> None:
    path = shop(tmp_path, captions_of_photos(tmp_path, copies, 40))
    printed = prepared(path)
    assert not photos_in_common(tmp_path)
    assert [len(records(tmp_path, split)) for split in SPLITS] == [160, 20, 20]
    assert "      200  items share their photo with others (same bytes or pixels)" in printed
    assert "     0.0%  items whose photo is in training (same bytes or pixels)" in printed
    for other in ["data.split.version=1"] if copies else ["data.split.method=published"]:
        printed = prepared(path, other)
        test = records(tmp_path, "test")
        share = sum(record["photo_digest"] in photos_in_common(tmp_path) for record in test) / len(test)
        assert share > 0.5
        assert f"{share:9.1%}  items whose photo is in training" in printed


def test_a_limit_leaks_no_photo_either(tmp_path: Path) -> None:
    prepared(shop(tmp_path, captions_of_photos(tmp_path, False), limit=20))
    assert not photos_in_common(tmp_path)
    assert all(0 < len(records(tmp_path, split)) <= 20 for split in SPLITS)


def test_a_mixtures_audit_knows_the_photos_of_other_catalogues_by_their_pixels(tmp_path: Path) -> None:
    """The second catalogue has the first one's photos as other bytes; its split is another one."""
    data = []
    for name, seed in (("one", 42), ("two", 7)):
        for number in range(40):
            noise(tmp_path / name / f"{number}.png", number, compress_level=1 + len(data))
        rows = [{"file_name": f"{n}.png", "id": f"{n}", "text": f"{name} {n}"} for n in range(40)]
        write_csv(tmp_path / name / "metadata.csv", rows)
        own = {"folder": str(tmp_path / name), "name": name, "columns": COLUMNS, "split": {"seed": seed}}
        data.append({"catalogue": "folder"} | own)
    path = recipe(tmp_path, data[0])
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(values | {"data": data}))
    printed = prepared(path)
    ids = {
        (name, split): {record["id"] for record in lines(tmp_path / "out" / name / f"references-{split}.jsonl")}
        for name in ("one", "two")
        for split in ("train", "test")
    }
    for name in ("one", "two"):
        trained = ids["one", "train"] | ids["two", "train"]
        share = len(ids[name, "test"] & trained) / len(ids[name, "test"])
        assert share > 0
        assert f"{share:9.1%}  items whose photo is in training" in printed


def test_photos_are_the_same_by_bytes_or_pixels_of_one_size(tmp_path: Path) -> None:
    jpeg = noise(tmp_path / "a.jpg", 1, LARGE)
    with Image.open(jpeg) as image:
        image.save(tmp_path / "b.png")
        image.resize((80, 120)).save(tmp_path / "smaller.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "other.png")
    commented = jpeg.read_bytes()[:2] + b"\xff\xfe\x00\x06same" + jpeg.read_bytes()[2:]
    sources = [str(jpeg), jpeg.read_bytes(), commented, str(tmp_path / "b.png")]
    others = [str(tmp_path / "smaller.png"), str(tmp_path / "other.png"), b"no photo"]
    with Image.open(tmp_path / "b.png") as image:  # as a phone stores it: turned, with EXIF that says so
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by 90 degrees
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    sources.insert(4, str(tmp_path / "turned.png"))
    checked = check_photos(sources + others, "checking")
    assert len(set(checked.digests[:5])) == 1
    assert len(set(checked.digests)) == 4
    assert (checked.digests[-1], list(checked.broken)) == ("", [7])
    # JPEGs whose pixels differ only where a reduced picture does not show it are told apart.
    noise(tmp_path / "c.jpg", 1, LARGE, quality=74)
    assert len(set(check_photos([str(jpeg), str(tmp_path / "c.jpg")], "checking").digests)) == 2


@pytest.mark.parametrize("most", [2**25, 300])
@given(seed=st.integers(0, 2**32))
def test_similar_photos_are_those_of_comparing_all(most: int, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    bases = [draw.getrandbits(64) for _ in range(5)]
    flipped = [base ^ sum(1 << bit for bit in draw.sample(range(64), 1 + n % 3)) for n, base in enumerate(bases * 4)]
    hashes = np.array(sorted({*bases, *flipped}), dtype=np.uint64).view(np.int64)
    alike = np.array([[((int(one) ^ int(other)) % 2**64).bit_count() <= 2 for other in hashes] for one in hashes])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar_photos, "_MOST_AT_ONCE", most)
        found = np.eye(len(hashes), dtype=bool)
        for owners, starts in neighbourhoods(hashes):
            for group in np.split(owners, starts[1:]):
                found[np.ix_(group, group)] = True
        assert similar_to(hashes[:9], hashes[9:]).tolist() == alike[:9, 9:].any(axis=1).tolist()
        groups = np.array(similar_groups(hashes, 1000))
    assert found.tolist() == alike.tolist()
    for _ in hashes:
        alike = alike @ alike
    assert (groups[:, None] == groups).tolist() == alike.tolist()


def test_groups_of_similar_photos_are_capped() -> None:
    chain = [0, 0b1, 0b111, 0b1111, 0b1111 | 1 << 40]  # each two bits at most from the next
    assert len(set(similar_groups(chain, 9))) == 1
    assert max(np.unique(similar_groups(chain, 2), return_counts=True)[1]) == 2
    # A hash that more photos have than fit says nothing: plain photos are all alike.
    assert len(set(similar_groups([5, 5, 5], 2))) == 3


def test_similar_photos_are_counted_and_joined_only_when_asked(tmp_path: Path) -> None:
    rows = []
    for number in range(60):
        path = noise(tmp_path / "shop" / f"{number}.png", number // 2)
        if number % 2:
            with Image.open(path) as image:
                image.putpixel((0, 0), (1, 2, 3))
                image.save(path)
        rows.append({"file_name": path.name, "id": str(number), "text": f"thing {number}"})
    path = shop(tmp_path, rows)
    assert "join_similar: means something" in refused(
        "prepare", path, "data.split.join_similar=4", "data.split.version=1"
    )
    printed = prepared(path)
    test, train = ({int(record["id"]) for record in records(tmp_path, split)} for split in ("test", "train"))
    apart = {number for number in test if number ^ 1 in train}
    assert apart
    assert f"{len(apart):9d}  test items have a photo that looks like one of training" in printed
    assert "share their photo" not in printed
    printed = prepared(path, "data.split.join_similar=4")
    of = [{int(record["id"]) // 2 for record in records(tmp_path, split)} for split in SPLITS]
    assert len(set.union(*of)) == sum(map(len, of)) == 30
    assert "looks like one of training" not in printed


def written_differently(caption: str) -> list[str]:
    return [
        f"{caption} ",
        caption.replace(" ", "\u00a0"),
        caption.replace(" ", "  "),
        unicodedata.normalize("NFD", caption),
    ]


@pytest.mark.parametrize("method", ["published", "product"])
def test_captions_are_equal_whatever_their_white_space_and_unicode_form(tmp_path: Path, method: str) -> None:
    """60 captions in five spellings each; today's white space at an end made an item "unseen"."""
    rows = []
    for number in range(120):
        caption = f"a crêpe dress {number // 5}"
        name = noise(tmp_path / "shop" / f"{number}.png", number).name
        rows.append(
            {"file_name": name, "id": str(number), "text": [caption, *written_differently(caption)][number % 5]}
        )
    path = shop(tmp_path, rows, split={"method": method})
    printed = prepared(path)
    train = {int(record["id"]) // 5 for record in records(tmp_path, "train")}
    test = records(tmp_path, "test")
    assert [record["seen"] for record in test] == [int(record["id"]) // 5 in train for record in test]
    share = np.mean([record["seen"] for record in test])
    assert f"{share:9.1%}  captions that are verbatim in training" in printed
    assert (share == 0) == (method == "product")
    distinct = len({int(record["id"]) // 5 for record in test})
    assert f"{len(test)} test items with {distinct} distinct captions" in printed


def test_the_most_frequent_caption_is_counted_over_its_spellings(tmp_path: Path) -> None:
    """Three spellings of one caption outnumber another that comes twice."""
    rows = []
    for number in range(40):
        text = ["a red dress", "a red dress ", "a\u00a0red dress", "a top", "a top"][number % 5]
        name = noise(tmp_path / "shop" / f"{number}.png", number).name
        rows.append({"file_name": name, "id": str(number), "text": text})
    path = shop(tmp_path, rows, split={"method": "published"})
    result = finetune("baselines", path, tmp_path / "baselines")
    assert result.exit_code == 0, result.output
    captions = lines(tmp_path / "baselines" / "category" / "captions.jsonl")
    assert {" ".join(record["caption"].split()) for record in captions} == {"a red dress"}


def test_prepared_splits_that_changed_places_are_made_again(
    tmp_path: Path, lookbook_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop(tmp_path, captions_of_photos(tmp_path, False))
    prepared(path)
    before = {split: records(tmp_path, split) for split in SPLITS}
    (cached,) = lookbook_cache.glob("folder-*")
    assert len(before["test"]) == len(before["validation"])
    (cached / "test").rename(cached / "kept")
    (cached / "validation").rename(cached / "test")
    (cached / "kept").rename(cached / "validation")
    for damaged, old, new in (
        ("test", "", ""),  # as above
        ("account.json", '"captions_in_train": 0.0', '"captions_in_train": 0.7'),
        ("test/state.json", "data-00000", "data-00001"),
        ("test/dataset_info.json", "photo_digest", "photo"),
    ):
        if old:
            (cached / damaged).write_text((cached / damaged).read_text().replace(old, new))
        again = finetune("prepare", path)
        assert again.exit_code == 0, again.output
        assert "this prepared catalogue is damaged; it is made again" in again.stderr
        assert {split: records(tmp_path, split) for split in SPLITS} == before
        assert "70.0%" not in again.stdout
