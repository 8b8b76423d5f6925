"""Writes a made-up shop in the layout of Kaggle's "Fashion Product Images", full edition.

Most of it is apparel; there are accessories and footwear, and goods of categories that are not kept.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from finetune.data.demo.catalogue import JPEG_QUALITY, MOST_ARTICLES
from finetune.data.demo.departments import MEN, WOMEN, YOUNG
from finetune.data.demo.drawing import draw, squared
from finetune.data.demo.goods import DROPPED, KEPT, Good, describe_good, draw_good
from finetune.data.demo.marked_folder import require_numbers, write_whole
from finetune.data.demo.shop import Article, Row, stock
from finetune.data.demo.wording import description
from metrics.common.screen import progress

VERSION = 2
SIDE = 240
FIRST_ID = 1163
APPAREL, OTHERS_KEPT = 0.65, 0.25  # shares of the articles; the rest is of categories that are dropped
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
    catalogue, nothing is done, nor where an earlier version did, whose articles are all apparel, so that runs begun on
    it resume. Raises `UserError` if it holds anything else, or if a number is out of range.
    """
    require_numbers(articles, 1, MOST_ARTICLES, seed)
    mark = {"layout": "fashion-product", "articles": articles, "seed": seed, "version": VERSION}
    earlier = [{**mark, "version": version} for version in range(1, VERSION)]
    write_whole(folder, mark, lambda draft: _write(draft, articles, seed), earlier)


@dataclass(frozen=True)
class _Item:
    """An article of the shop, and which goods it is if it is no garment."""

    article: Article
    good: Good | None

    @property
    def kind(self) -> tuple[str, str, str]:
        """Master category, sub category and article type."""
        if self.good is None:
            return ("Apparel", *TYPES[self.article.garment.type])
        return self.good.master_category, self.good.sub_category, self.good.article_type

    def text(self, rng: np.random.Generator) -> str:
        garment = self.article.garment
        return description(garment) if self.good is None else describe_good(self.good, garment, rng)

    def drawing(self, rng: np.random.Generator) -> Image.Image:
        size, garment = (SIDE * 2 // 3, SIDE), self.article.garment
        drawn = draw(garment, rng, size) if self.good is None else draw_good(self.good, garment, rng, size)
        return squared(drawn, SIDE)


def _items(articles: int, seed: int) -> dict[str, _Item]:
    rng = np.random.default_rng([seed, 9])
    shares: dict[Good | None, float] = {None: APPAREL}
    for goods, share in ((KEPT, OTHERS_KEPT), (DROPPED, 1 - APPAREL - OTHERS_KEPT)):
        shares |= dict.fromkeys(goods, share / len(goods))
    kinds, odds = list(shares), list(shares.values())
    chosen = rng.choice(len(kinds), articles, p=odds)
    return {
        str(FIRST_ID + place): _Item(article, kinds[chosen[place]])
        for place, article in enumerate(stock(articles, seed))
    }


def _write(folder: Path, articles: int, seed: int) -> None:
    shelf = _items(articles, seed)
    rows = [_row(key, item) for key, item in shelf.items()]
    _write_csv(folder / "styles.csv", rows)
    _write_csv(
        folder / "images.csv", [{"filename": f"{key}.jpg", "link": f"https://example.com/{key}.jpg"} for key in shelf]
    )
    for name in ("images", "styles"):
        (folder / name).mkdir()
    for row, item in progress(zip(rows, shelf.values(), strict=True), "drawing the demo catalogue", total=len(rows)):
        rng = np.random.default_rng([seed, 8, int(row["id"])])
        item.drawing(rng).save(folder / "images" / f"{row['id']}.jpg", quality=JPEG_QUALITY)
        style = json.dumps(_style(row, item, rng), ensure_ascii=False)
        (folder / "styles" / f"{row['id']}.json").write_text(style, encoding="utf-8")


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = list(rows)
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _row(key: str, item: _Item) -> Row:
    article = item.article
    master_category, sub_category, kind = item.kind
    gender, colour = GENDERS[article.index], COLOURS.get(article.garment.colour, article.garment.colour)
    number = int(key)
    return {
        "id": key,
        "gender": gender,
        "masterCategory": master_category,
        "subCategory": sub_category,
        "articleType": kind,
        "baseColour": colour,
        "season": ("Summer", "Fall", "Winter", "Spring")[number % 4],
        "year": str(2011 + number % 7),
        "usage": "Casual",
        "productDisplayName": f"{article.name.split()[0]} {gender} {colour} {kind}",
    }


def _style(row: Row, item: _Item, rng: np.random.Generator) -> dict[str, object]:
    descriptors = {}
    if item.article.described:
        value = f"<p>{item.text(rng)}</p>"
        descriptors["description"] = {"descriptorType": "description", "value": value}
    data = {name: row[name] for name in ("productDisplayName", "gender", "baseColour", "season", "year", "usage")}
    return {"meta": {"code": 200}, "data": {"id": int(row["id"]), **data, "productDescriptors": descriptors}}
