"""What is known of articles and customers whatever was bought: the columns of items.parquet and customers.csv."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.common.columns import read_columns
from recommend.ranker.history import Floats

UNKNOWN = -1
_NUMBERS, _WORDS = ("FN", "Active", "age"), ("club_member_status", "fashion_news_frequency")


@dataclass(frozen=True)
class Catalogue:
    """I articles by numbers that stand for the values of their columns.

    A tree only asks whether a number is below another: the rank of a value among those that occur is as good as the
    value, exact in float32, and can be counted.

    Attributes:
        codes: by column, (I,) the rank of each article's value, numbers by size, words by alphabet; `UNKNOWN` if empty.
        products: (I,) the number of each article's product; colourways have the same.
        customers: by column, (U,) what is known of customers; NaN where nothing is.
        customers_lacking: of how many nothing is known, though there is a file of customers.
    """

    codes: dict[str, NDArray[np.int64]]
    products: NDArray[np.int64]
    customers: dict[str, Floats]
    customers_lacking: int = 0


def read_catalogue(
    items: Path, article_ids: Sequence[str], columns: Sequence[str], customers_csv: Path | None, customer_ids: list[str]
) -> Catalogue:
    """Read the columns of all articles and, if there is such a file, of all customers.

    Raises `UserError` if a table is missing or damaged, lacks a column or an article, or knows none of the customers.
    """
    read = read_columns(items, article_ids, columns)
    codes = {column: ranked(values) for column, values in read.values.items()}
    customers, lacking = ({}, 0) if customers_csv is None else read_customers(customers_csv, customer_ids)
    return Catalogue(codes, read.products, customers, lacking)


def ranked(values: Sequence[str]) -> NDArray[np.int64]:
    """The rank of each text among the distinct ones, from 0, numbers by size; `UNKNOWN` for an empty one."""
    texts = pd.Series(values, dtype=object).replace("", None)
    numbers = pd.to_numeric(texts, errors="coerce")
    numeric = bool(numbers.notna().eq(texts.notna()).all())
    ranks, _ = pd.factorize(numbers if numeric else texts, sort=True)
    return np.asarray(ranks, dtype=np.int64)


def read_customers(path: Path, customer_ids: list[str]) -> tuple[dict[str, Floats], int]:
    """The columns of Kaggle's customers.csv but for the postal code, in the order of the ids, and how many it lacks.

    Raises `UserError` if the file is missing or damaged, has none of the columns or none of the customers, or has words
    for numbers or a customer twice.
    """
    remedy = "use the file as Kaggle ships it, or leave `customers` out of the recipe"
    if not path.is_file():
        raise UserError(f"{path}: no such file; {remedy}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot read the table ({error}); {remedy}") from error
    if "customer_id" not in table:
        raise UserError(f"{path}: column customer_id missing; {remedy}")
    if table["customer_id"].duplicated().any():
        repeated = table["customer_id"][table["customer_id"].duplicated()].iloc[0]
        raise UserError(f"{path}: customer {repeated} is in several rows; {remedy}")
    places = pd.Index(table["customer_id"]).get_indexer(pd.Index(customer_ids))
    if not (places >= 0).any():
        raise UserError(f"{path}: none of the {len(customer_ids):,} customers of the purchases is in it; {remedy}")
    known = [name for name in (*_NUMBERS, *_WORDS) if name in table]
    if not known:
        raise UserError(f"{path}: expected some of the columns {', '.join((*_NUMBERS, *_WORDS))}, found none; {remedy}")
    columns = {name: _numbers(table[name], name, f"{path}: column {name}") for name in known}
    of_ids = {name: np.where(places >= 0, values[places], np.nan) for name, values in columns.items()}
    return {name: values.astype(np.float32) for name, values in of_ids.items()}, int((places < 0).sum())


def _numbers(column: "pd.Series[str]", name: str, where: str) -> Floats:
    if name in _WORDS:
        ranks = ranked(column.tolist())
        return np.where(ranks == UNKNOWN, np.nan, ranks).astype(np.float32)
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & ~column.str.strip().str.lower().isin(["", "nan"])]
    if len(wrong):
        raise UserError(f"{where}: expected numbers or nothing, found {wrong.iloc[0]!r:.40} in {len(wrong):,} rows")
    return np.asarray(numbers, dtype=np.float32)
