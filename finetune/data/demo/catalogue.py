"""Writes a made-up shop in exactly the layout in which Kaggle ships H&M's."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from finetune.data.demo.drawing import draw
from finetune.data.demo.marked_folder import MARK, require_numbers, write_whole
from finetune.data.demo.purchases import purchase_rows
from finetune.data.demo.shop import FIRST_CODE, LAST_CODE, Article, Row, article_row, customer_rows, stock
from metrics.common.files import read_json_object
from metrics.common.screen import progress

VERSION = 2
MOST_ARTICLES = LAST_CODE - FIRST_CODE + 1
JPEG_QUALITY = 88
CUSTOMER_COLUMNS = ("customer_id", "FN", "Active", "club_member_status", "fashion_news_frequency", "age", "postal_code")
TRANSACTION_COLUMNS = ("t_dat", "customer_id", "article_id", "price", "sales_channel_id")


def write_demo(folder: Path, articles: int, seed: int) -> None:
    """Write a demo catalogue of `articles` articles and as many customers into `folder`.

    The same `articles` and `seed` give the same bytes. The folder appears whole or not at all; where it already holds
    this very catalogue, nothing is done, nor where an earlier version did: its articles and photos are the same, its
    purchases fewer and without taste enough to learn from. Raises `UserError` if it holds anything else, or if
    `articles` or `seed` is out of range.
    """
    require_numbers(articles, 1, MOST_ARTICLES, seed)
    mark = {"articles": articles, "seed": seed, "version": VERSION}
    earlier = [{**mark, "version": version} for version in range(1, VERSION)]
    write_whole(folder, mark, lambda draft: _write(draft, articles, seed), earlier)


def is_of_earlier_version(folder: Path) -> bool:
    """Whether `folder` is a demo catalogue that an earlier version wrote; raises `UserError` if its mark is damaged."""
    path = folder / MARK
    return path.is_file() and read_json_object(path, "remove the folder to draw it again").get("version") != VERSION


def image_path(article_id: str) -> Path:
    """Return the path of the article's photo in the catalogue's folder."""
    return Path("images") / article_id[:3] / f"{article_id}.jpg"


def _write(folder: Path, articles: int, seed: int) -> None:
    shelf = stock(articles, seed)
    rows = [article_row(article) for article in shelf]
    customers = customer_rows(articles, seed)
    _write_csv(folder / "articles.csv", list(rows[0]), rows)
    _write_csv(folder / "customers.csv", CUSTOMER_COLUMNS, customers)
    bought = purchase_rows(shelf, [row["customer_id"] for row in customers], seed)
    _write_csv(folder / "transactions_train.csv", TRANSACTION_COLUMNS, bought)
    for article in progress(shelf, "drawing the demo catalogue", unit="photo"):
        _write_image(folder / image_path(article.article_id), article, seed)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_image(path: Path, article: Article, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 5, int(article.article_id)])
    draw(article.garment, rng).save(path, quality=JPEG_QUALITY)
