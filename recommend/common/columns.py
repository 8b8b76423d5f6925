"""Columns of `items.parquet` for the items of a feature store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyarrow.lib import ArrowException
from pyarrow.parquet import read_schema

from metrics.common.errors import UserError

Result = TypeVar("Result")
SOURCE = "source."
CATEGORIES = (("product_group_name", "product_type_name"), ("masterCategory", "subCategory"))
_REMEDY = "give the items.parquet that `lookbook prepare` wrote for this catalogue"


@dataclass(frozen=True)
class ItemColumns:
    """What the table says of n items, in the order of their ids.

    Attributes:
        products: (n,) the number of each item's product; siblings have the same.
        values: by column, the texts of the items; empty where the table has none.
    """

    products: NDArray[np.int64]
    values: dict[str, list[str]]


def column_names(path: Path) -> list[str]:
    """The columns of the table. Raises `UserError` if there is no such table."""
    return _reading(path, lambda: list(read_schema(path).names))


def category_columns(path: Path) -> list[str]:
    """The columns of category and sub category of a table that is known. Raises `UserError` for any other."""
    if known := known_categories(path):
        return list(known)
    raise UserError(f"{path}: has no columns {' or '.join(map(' and '.join, CATEGORIES))}; name yours by --colour-by")


def known_categories(path: Path) -> tuple[str, ...]:
    """The columns of category and sub category of a table that is known, else none."""
    names = {name.removeprefix(SOURCE) for name in column_names(path)}
    return next((known for known in CATEGORIES if names.issuperset(known)), ())


def check_columns(path: Path, columns: Sequence[str]) -> None:
    """Raise `UserError` if there is no such table, or if it lacks a column."""
    known = column_names(path)
    for column in columns:
        _named(column, known, path)


def read_columns(path: Path, ids: Sequence[str], columns: Sequence[str] = ()) -> ItemColumns:
    """Read `columns`, by their names or without `source.`, for the items `ids`.

    Raises `UserError` if the table is missing or damaged, lacks a column or an id, or has an id twice.
    """
    known = column_names(path)
    lacking = [column for column in ("id", "product_id") if column not in known]
    if lacking:
        raise UserError(f"{path}: column(s) {', '.join(lacking)} missing; {_REMEDY}")
    names = [_named(column, known, path) for column in columns]
    wanted = list(dict.fromkeys(("id", "product_id", *names)))
    table = _reading(path, lambda: pd.read_parquet(path, columns=wanted))
    if table["id"].duplicated().any():
        raise UserError(f"{path}: id {table['id'][table['id'].duplicated()].iloc[0]} is in several rows; {_REMEDY}")
    missing = sorted(set(ids) - set(table["id"]))
    if missing:
        raise UserError(
            f"{path}: {len(missing):,} of {len(ids):,} items are not in it, such as {missing[0]}; {_REMEDY}"
        )
    rows = table.set_index("id", drop=False).loc[list(ids)]
    products = rows["product_id"].where(rows["product_id"].fillna("") != "", rows.index.to_series())
    values = {column: _texts(rows[name]) for column, name in zip(columns, names, strict=True)}
    return ItemColumns(numbered(products.tolist()), values)


def numbered(texts: Sequence[str]) -> NDArray[np.int64]:
    """The number of each text among the distinct ones in alphabetical order, (n,)."""
    numbers, _ = pd.factorize(np.array(texts, dtype=object), sort=True)
    return np.asarray(numbers, dtype=np.int64)


def _reading(path: Path, read: Callable[[], Result]) -> Result:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {_REMEDY}")
    try:
        return read()
    except (ArrowException, ValueError, OSError) as error:
        raise UserError(f"{path}: cannot read the table ({error}); {_REMEDY}") from error


def _named(column: str, known: Sequence[str], path: Path) -> str:
    for name in (column, SOURCE + column):
        if name in known:
            return name
    raise UserError(f"{path}: no column {column}; found {', '.join(name.removeprefix(SOURCE) for name in known)}")


def _texts(column: "pd.Series[str]") -> list[str]:
    return ["" if pd.isna(value) else str(value).strip() for value in column]
