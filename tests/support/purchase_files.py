"""Purchases as Kaggle's CSV and as arrays."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recommend.interactions.interactions import Purchases

HEADER = ("t_dat", "customer_id", "article_id", "price", "sales_channel_id")
Line = tuple[str, str, str]


def kaggle_purchases(
    folder: Path, lines: Iterable[Line], articles: Sequence[str], header: Sequence[str] = HEADER
) -> Path:
    """Write transactions_train.csv of (day, customer, article) and articles.csv into `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "transactions_train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows((*line, "0.05", "2") for line in lines)
    (folder / "articles.csv").write_text("\n".join(["article_id", *articles, ""]), encoding="utf-8")
    return folder


def items_file(path: Path, rows: Iterable[tuple[str, str | None, str, str]]) -> Path:
    """Write the columns id, image, description and role of an items.parquet."""
    pd.DataFrame(list(rows), columns=["id", "image", "description", "role"]).to_parquet(path)
    return path


def bought(*purchases: tuple[int, int, int], customers: int | None = None, articles: int | None = None) -> Purchases:
    """Purchases of (customer, article, day); as many customers and articles as their numbers need, if not given."""
    columns: Any = np.array(purchases, dtype=np.int32).reshape(-1, 3).T
    owners, items, days = (np.ascontiguousarray(column) for column in columns)
    customers = customers or int(owners.max()) + 1
    ids = [f"0{place:09d}" for place in range(articles or int(items.max()) + 1)]
    return Purchases(owners, items, days, customers, ids)
