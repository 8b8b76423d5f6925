"""What is known of articles and customers whatever was bought: the columns of items.parquet and customers.csv."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommend.common.columns import read_columns
from recommend.ranker.codes import ranked
from recommend.ranker.customers import Customers, read_customers


@dataclass(frozen=True)
class Catalogue:
    """I articles by numbers that stand for the values of their columns, and U customers.

    Attributes:
        codes: by column, (I,) the rank of each article's value, as `ranked` has it.
        products: (I,) the number of each article's product; colourways have the same.
        customers: what is known of customers.
    """

    codes: dict[str, NDArray[np.int64]]
    products: NDArray[np.int64]
    customers: Customers


def read_catalogue(
    items: Path, article_ids: Sequence[str], columns: Sequence[str], customers_csv: Path | None, customer_ids: list[str]
) -> Catalogue:
    """Read the columns of all articles and, if there is such a file, of all customers.

    Raises `UserError` if a table is missing or damaged, lacks a column or an article, or knows none of the customers.
    """
    read = read_columns(items, article_ids, columns)
    codes = {column: ranked(values) for column, values in read.values.items()}
    customers = Customers() if customers_csv is None else read_customers(customers_csv, customer_ids)
    return Catalogue(codes, read.products, customers)
