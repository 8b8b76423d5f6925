"""Filling on the real H&M catalogue, where the environment variable HM_DIR names its folder. A minute."""

import csv
import os
from pathlib import Path

import pandas as pd
import pytest
from tiny import finetune, lines, prepared, recipe, write_csv

HM_DIR = os.environ.get("HM_DIR")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not HM_DIR, reason="HM_DIR does not name the folder of the real H&M catalogue"),
]
UNDESCRIBED = {"0507883009", "0507883018", "0684824006"}
HIDDEN = 20


def test_exactly_the_undescribed_articles_are_filled(tmp_path: Path) -> None:
    source = Path(str(HM_DIR)).expanduser() / "articles.csv"
    result = finetune("fill", source.parent, "--model", "demo", "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert {row["id"] for row in lines(tmp_path / "new" / "captions.jsonl")} == UNDESCRIBED
    old = source.read_bytes().splitlines(keepends=True)
    new = (tmp_path / "new" / "articles.csv").read_bytes().splitlines(keepends=True)
    changed = {pair[0][:10].decode() for pair in zip(old, new, strict=True) if pair[0] != pair[1]}
    assert changed == UNDESCRIBED


def test_hidden_descriptions_are_seen_nowhere_in_training(tmp_path: Path) -> None:
    """With all variants and all equal descriptions hidden too."""
    folder = Path(str(HM_DIR)).expanduser().resolve()
    with (folder / "articles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    photos = {path.stem for path in (folder / "images").glob("*/*.jpg")}
    described = [row for row in rows if row["article_id"] in photos and row["product_type_name"] == "Dress"]
    chosen = [row for row in described if row["detail_desc"]][::7][:HIDDEN]
    products, texts = ({row[column].lower() for row in chosen} for column in ("product_code", "detail_desc"))
    hidden = {row["article_id"]: row["detail_desc"].lower() for row in chosen}
    for row in rows:
        if row["product_code"] in products or row["detail_desc"].lower() in texts:
            row["detail_desc"] = ""
    shop = tmp_path / "hm"
    shop.mkdir()
    (shop / "images").symlink_to(folder / "images")
    write_csv(shop / "articles.csv", rows)
    path = recipe(tmp_path, {"catalogue": "hm", "folder": str(shop), "outside": "read"})
    prepared(path)
    items = pd.read_parquet(tmp_path / "out" / "items.parquet").set_index("id")
    assert set(items.loc[list(hidden), "role"]) == {"undescribed"}
    for split in ("train", "validation"):
        trained = lines(tmp_path / "out" / f"references-{split}.jsonl")
        assert not {row["references"][0] for row in trained} & set(hidden.values())
        assert not {row["product_id"] for row in trained} & products
    result = finetune("fill", path, "--model", "demo", "--out", tmp_path / "new", "--category", "Dress")
    assert result.exit_code == 0, result.output
    assert hidden.keys() <= {row["id"] for row in lines(tmp_path / "new" / "captions.jsonl")}
