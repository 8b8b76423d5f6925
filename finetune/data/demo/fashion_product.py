"""Writes a made-up shop in the layout of Kaggle's "Fashion Product Images", full edition; all of it is apparel."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from finetune.data.demo.catalogue import JPEG_QUALITY, MOST_ARTICLES
from finetune.data.demo.departments import MEN, WOMEN, YOUNG
from finetune.data.demo.drawing import draw, squared
from finetune.data.demo.marked_folder import require_numbers, write_whole
from finetune.data.demo.shop import Article, Row, stock
from finetune.data.demo.wording import description

VERSION = 1
SIDE = 240
FIRST_ID = 1163
GENDERS = {WOMEN: "Women", YOUNG: "Girls", MEN: "Men"}
TYPES = {
    "T-shirt": ("Topwear", "Tshirts"),
    "Vest top": ("Topwear", "Tops"),
    "Top": ("Topwear", "Tops"),
    "Blouse": ("Topwear", "Tops"),
    "Shirt": ("Topwear", "Shirts"),
    "Sweater": ("Topwear", "Sweaters"),
    "Hoodie": ("Topwear", "Sweatshirts"),
    "Cardigan": ("Topwear", "Sweaters"),
    "Jacket": ("Topwear", "Jackets"),
    "Coat": ("Topwear", "Jackets"),
    "Dress": ("Dress", "Dresses"),
    "Skirt": ("Bottomwear", "Skirts"),
    "Trousers": ("Bottomwear", "Trousers"),
    "Shorts": ("Bottomwear", "Shorts"),
    "Jumpsuit/Playsuit": ("Dress", "Jumpsuit"),
}
COLOURS = {
    "Dark Blue": "Navy Blue",
    "Light Blue": "Blue",
    "Light Pink": "Pink",
    "Dark Green": "Green",
    "Greenish Khaki": "Khaki",
    "Light Beige": "Beige",
    "Yellowish Brown": "Brown",
}


def write_fashion_product_demo(folder: Path, articles: int, seed: int) -> None:
    """Write a catalogue of `articles` articles with photos of 240 x 240 pixels into `folder`.

    The same arguments give the same bytes. The folder appears whole or not at all; where it already holds this very
    catalogue, nothing is done. Raises `UserError` if it holds anything else, or if a number is out of range.
    """
    require_numbers(articles, 1, MOST_ARTICLES, seed)
    mark = {"layout": "fashion-product", "articles": articles, "seed": seed, "version": VERSION}
    write_whole(folder, mark, lambda draft: _write(draft, articles, seed))


def _write(folder: Path, articles: int, seed: int) -> None:
    shelf = {str(FIRST_ID + place): article for place, article in enumerate(stock(articles, seed))}
    rows = [_row(key, article) for key, article in shelf.items()]
    _write_csv(folder / "styles.csv", rows)
    _write_csv(
        folder / "images.csv", [{"filename": f"{key}.jpg", "link": f"https://example.com/{key}.jpg"} for key in shelf]
    )
    for name in ("images", "styles"):
        (folder / name).mkdir()
    for row, article in tqdm(zip(rows, shelf.values(), strict=True), "drawing the demo catalogue", len(rows)):
        style = json.dumps(_style(row, article), ensure_ascii=False)
        (folder / "styles" / f"{row['id']}.json").write_text(style, encoding="utf-8")
        drawing = draw(article.garment, np.random.default_rng([seed, 8, int(row["id"])]), (SIDE * 2 // 3, SIDE))
        squared(drawing, SIDE).save(folder / "images" / f"{row['id']}.jpg", quality=JPEG_QUALITY)


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = list(rows)
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _row(key: str, article: Article) -> Row:
    sub_category, kind = TYPES[article.garment.type]
    gender, colour = GENDERS[article.index], COLOURS.get(article.garment.colour, article.garment.colour)
    number = int(key)
    return {
        "id": key,
        "gender": gender,
        "masterCategory": "Apparel",
        "subCategory": sub_category,
        "articleType": kind,
        "baseColour": colour,
        "season": ("Summer", "Fall", "Winter", "Spring")[number % 4],
        "year": str(2011 + number % 7),
        "usage": "Casual",
        "productDisplayName": f"{article.name.split()[0]} {gender} {colour} {kind}",
    }


def _style(row: Row, article: Article) -> dict[str, object]:
    descriptors = {}
    if article.described:
        value = f"<p>{description(article.garment)}</p>"
        descriptors["description"] = {"descriptorType": "description", "value": value}
    data = {name: row[name] for name in ("productDisplayName", "gender", "baseColour", "season", "year", "usage")}
    return {"meta": {"code": 200}, "data": {"id": int(row["id"]), **data, "productDescriptors": descriptors}}
