"""`prepare`: what it writes, what it caches, what it makes of broken photos, and that it leaves nothing half-done."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dead_drafts import dead_draft
from sklearn.model_selection import train_test_split
from tiny import (
    all_references,
    article,
    finetune,
    kaggle,
    kaggle_photo,
    photo,
    prepared,
    recipe,
    references,
    write_csv,
)

from finetune.config.catalogues import Demo
from finetune.config.recipe import load_recipe
from finetune.data import arrow_cache as cache
from finetune.data import preparation
from finetune.data.account import Account
from finetune.data.arrow_cache import LAYOUT_VERSION
from finetune.data.demo.catalogue import write_demo
from finetune.data.photo_check import Checked
from metrics.common.errors import UserError
from metrics.records.captions import read_records

COUNT = 30
IDS = [article(number)["article_id"] for number in range(COUNT)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The photos that are checked, in order."""
    seen: list[Any] = []
    check_photos = preparation.check_photos

    def listening(sources: Iterable[Any], title: str) -> Checked:
        seen.extend(sources)
        return check_photos(list(sources), title)

    monkeypatch.setattr(preparation, "check_photos", listening)
    return seen


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def load(path: Path) -> preparation.Prepared:
    return preparation.prepare(load_recipe(path).data)


def test_references_hold_the_published_split(shop_recipe: Path, tmp_path: Path, lookbook_cache: Path) -> None:
    left = [dead_draft(lookbook_cache / "shop"), dead_draft(tmp_path / "out" / "items.parquet")]
    prepared(shop_recipe)
    assert not any(path.exists() for path in left)
    shuffled = pd.DataFrame({"id": IDS}).sample(frac=1, random_state=42)
    train, rest = train_test_split(shuffled, test_size=1 - 0.8, random_state=42)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42)
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        assert [record["id"] for record in references(tmp_path, name)] == part["id"].tolist()
        assert {record["split"] for record in references(tmp_path, name)} == {name}


def test_references_can_be_scored_and_say_what_was_seen(shop_recipe: Path, tmp_path: Path) -> None:
    prepared(shop_recipe)
    training = {record["references"][0] for record in references(tmp_path, "train")}
    for split in ("validation", "test"):
        for record in references(tmp_path, split):
            assert record["seen"] == (record["references"][0] in training)
            assert len(record["references"]) == 1
    assert {record["seen"] for record in references(tmp_path, "train")} == {None}
    assert len(read_records(tmp_path / "out" / "references-test.jsonl")) == 3


def test_the_printed_account_adds_up(shop_recipe: Path, tmp_path: Path) -> None:
    printed = prepared(shop_recipe)
    test, train = references(tmp_path, "test"), references(tmp_path, "train")
    products = {record["product_id"] for record in train}
    siblings = sum(record["product_id"] in products for record in test) / len(test)
    seen = sum(record["seen"] for record in test) / len(test)
    for line in (
        "catalogue hm",
        "published split",
        "       24  train",
        "        3  validation",
        "        3  test",
        "leak audit of 3 test items",
        f"{seen:9.1%}  captions that are verbatim in training",
        f"{siblings:9.1%}  items with a sibling of the same product in training",
        str(tmp_path / "out" / "references-test.jsonl"),
    ):
        assert line in printed


def test_the_account_is_kept_with_the_data(shop_recipe: Path, shop: Path, lookbook_cache: Path) -> None:
    first = load(shop_recipe).account
    (cached,) = lookbook_cache.glob("*-*")
    kept = json.loads((cached / "account.json").read_text())
    assert load(shop_recipe).account == first == Account.from_json(json.dumps(kept), shop)
    assert first.folder == str(shop)
    assert cached.name.startswith(f"{first.fingerprint}-") and cached.name.endswith(f"-{LAYOUT_VERSION}")
    assert list(kept) == [
        *("name", "fingerprint", "split", "counts", "dropped", "bad_images", "image_sizes", "notes", "photos"),
        *("leak_audit", "digests", "sha256"),
    ]
    assert kept["split"] == {
        "method": "published",
        "sizes": {"train": 24, "validation": 3, "test": 3, "undescribed": 0},
    }


def test_product_split_has_no_leak(shop_recipe: Path, tmp_path: Path) -> None:
    printed = prepared(shop_recipe, "data.split.method=product", "data.split.validation=0.15", "data.split.train=0.7")
    assert "product split" in printed
    assert printed.count(" 0.0%  ") == 3
    of = {split: {r["product_id"] for r in references(tmp_path, split)} for split in ("train", "validation", "test")}
    assert sum(map(len, of.values())) == len(set.union(*of.values())) == COUNT // 2


def test_limit_takes_the_first_of_each_split(shop_recipe: Path, tmp_path: Path) -> None:
    prepared(shop_recipe)
    whole = {split: [r["id"] for r in references(tmp_path, split)] for split in ("train", "validation", "test")}
    prepared(shop_recipe, "--limit", 2)
    for split, ids in whole.items():
        assert [record["id"] for record in references(tmp_path, split)] == ids[:2]
    prepared(shop_recipe, "--limit", 1000)
    for split, ids in whole.items():
        assert [record["id"] for record in references(tmp_path, split)] == ids
    assert finetune("prepare", shop_recipe, "--limit", 0).exit_code == 2


def test_limit_decodes_no_more_photos_than_it_keeps(shop_recipe: Path, decoded: list[Any]) -> None:
    prepared(shop_recipe, "--limit", 2)
    assert len(decoded) == 6


def test_a_second_call_reads_the_cache(shop_recipe: Path, lookbook_cache: Path, decoded: list[Any]) -> None:
    first = prepared(shop_recipe)
    assert len(decoded) == COUNT
    before = contents(lookbook_cache)
    assert prepared(shop_recipe) == first
    assert len(decoded) == COUNT
    assert contents(lookbook_cache) == before


def test_what_does_not_touch_the_data_does_not_rebuild(shop_recipe: Path, decoded: list[Any]) -> None:
    prepared(shop_recipe)
    prepared(shop_recipe, "training.epochs=1", "prompt=a photo of", "model.base=other")
    assert len(decoded) == COUNT


def touch(path: Path) -> None:
    """Another picture of the same size in bytes, a nanosecond later."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def reword(shop: Path, **values: str) -> None:
    rows = [article(number) for number in range(COUNT)]
    rows[4] |= values
    write_csv(shop / "articles.csv", rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: photo(kaggle_photo(shop, IDS[4]), (1, 2, 250), size=(10, 10)),
        lambda shop: touch(kaggle_photo(shop, IDS[4])),
        lambda shop: kaggle_photo(shop, IDS[4]).unlink(),
        lambda shop: reword(shop, detail_desc="Other words."),
        lambda shop: reword(shop, colour_group_name="Pink"),
        lambda shop: reword(shop, department_name="Ladies"),
        lambda shop: reword(shop, product_code="0999999"),
    ],
    ids=["other photo", "newer photo", "no photo", "caption", "colour", "attribute", "product"],
)
def test_any_change_of_the_data_is_seen(
    shop: Path, shop_recipe: Path, decoded: list[Any], change: Callable[[Path], None]
) -> None:
    prepared(shop_recipe)
    decoded.clear()
    change(shop)
    prepared(shop_recipe)
    assert len(decoded) >= COUNT - 1


def test_after_a_change_the_new_is_read(shop: Path, shop_recipe: Path, tmp_path: Path) -> None:
    prepared(shop_recipe)
    photo(kaggle_photo(shop, IDS[4]), (1, 2, 250))
    reword(shop, detail_desc="Other words.")
    prepared(shop_recipe)
    assert all_references(tmp_path)[IDS[4]]["references"] == ["other words."]
    (row,) = [row for split in load(shop_recipe).splits.values() for row in split if row["id"] == IDS[4]]
    assert row["image"].getpixel((9, 9)) == pytest.approx((1, 2, 250), abs=8)


def test_a_changed_photo_is_checked_again(shop: Path, shop_recipe: Path) -> None:
    prepared(shop_recipe)
    kaggle_photo(shop, IDS[4]).write_bytes(b"no picture")
    result = finetune("prepare", shop_recipe)
    assert result.exit_code == 2
    assert f"{IDS[4]}.jpg: not an image" in result.stderr


@pytest.mark.processes
def test_processes_that_prepare_at_once_agree(shop_recipe: Path, lookbook_cache: Path) -> None:
    """As `accelerate launch` starts them: each prepares, one cache remains."""
    found, barrier = [], threading.Barrier(3)
    write = cache.write

    def together(*arguments: Any) -> None:
        barrier.wait()
        write(*arguments)

    def one() -> None:
        found.append(load(shop_recipe).splits["test"]["id"][:])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "write", together)
        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [found[0]] * 3
    assert len(list(lookbook_cache.glob("*-*"))) == 1


def test_a_category_of_undescribed_items_alone_is_kept_and_no_label_of_training(tmp_path: Path) -> None:
    rows = [article(number) for number in range(20)]
    rows[6] |= {"detail_desc": "", "product_type_name": "Umbrella"}
    loaded = load(recipe(tmp_path, {"catalogue": "hm", "folder": str(kaggle(tmp_path / "hm", rows))}))
    (record,) = loaded.records("undescribed")
    assert record.category == "Umbrella"
    assert loaded.splits["train"].features["category"].names == ["Dress"]


def test_validate_says_that_all_is_well(shop_recipe: Path) -> None:
    result = finetune("validate", shop_recipe)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"{shop_recipe}: ready to train\n")


def test_the_python_way_raises_the_same_error(shop: Path, shop_recipe: Path) -> None:
    (shop / "articles.csv").unlink()
    with pytest.raises(UserError, match=r"articles\.csv: no such file"):
        load(shop_recipe)


def test_the_counts_stand_in_the_data_sets_description(tmp_path: Path) -> None:
    write_demo(tmp_path / "demo", 120, 0)
    section = Demo(catalogue="demo", folder=str(tmp_path / "demo"), articles=120)
    prepared = preparation.prepare(section)
    described = json.loads(prepared.splits["test"].info.description)
    assert described["counts"] == [asdict(step) for step in prepared.account.counts]
    assert described["counts"][0] == {"step": "articles", "articles": 120}
