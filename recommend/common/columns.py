"""Columns of `items.parquet` for the items of a feature store.

The table is a file, or a folder that has it. The items of several catalogues, whose ids are `NAME/id`, have their
tables in a folder that has each one's as `NAME/items.parquet`, as `prepare` and `run` write them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.data.items import read_items
from finetune.data.readers import parquet_columns
from metrics.common.errors import UserError

SOURCE = "source."
CATEGORIES = (("product_group_name", "product_type_name"), ("masterCategory", "subCategory"))
_ITEMS = "items.parquet"
_REMEDY = (
    "give the items.parquet that `lookbook prepare` wrote for this catalogue, of several the folder with each one's"
)
_NAMED = ("id", "product_id", "image")  # what begins with the catalogue's name where there are several


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
    """The columns of the table, of several those of any. Raises `UserError` if there is no such table."""
    return list(dict.fromkeys(name for table in _tables(path).values() for name in _columns(table)))


def columns_by_catalogue(path: Path) -> dict[str, list[str]]:
    """The columns of each table by the name of its catalogue, empty of an only table.

    Raises `UserError` if there is no such table.
    """
    return {prefix.removesuffix("/"): _columns(table) for prefix, table in _tables(path).items()}


def has_column(column: str, known: Collection[str]) -> bool:
    """Whether a table with the columns `known` has this one, by its name or without `source.`."""
    return column in known or SOURCE + column in known


def catalogue_of(key: str, names: Collection[str]) -> str:
    """Which of the catalogues `names`, as `columns_by_catalogue` has them, the item `key` is of."""
    return "" if "" in names else key.partition("/")[0]


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

    Of several catalogues, the items of one whose table lacks a column have empty texts. Raises `UserError` if a table
    is missing or damaged or has an id twice, or if none has a column or an id.
    """
    known = column_names(path)
    names = [_named(column, known, path) for column in columns]
    wanted = list(dict.fromkeys(("id", "product_id", *names)))
    table = pd.concat([_read(file, prefix, wanted) for prefix, file in _tables(path).items()])
    missing = sorted(set(ids) - set(table["id"]))
    if missing:
        raise UserError(
            f"{path}: {len(missing):,} of {len(ids):,} items are not in it, such as {missing[0]}; "
            f"{_remedy(path, missing)}"
        )
    rows = table.set_index("id", drop=False).loc[list(ids)]
    products = rows["product_id"].where(rows["product_id"].fillna("") != "", rows.index.to_series())
    values = {column: _texts(rows[name]) for column, name in zip(columns, names, strict=True)}
    return ItemColumns(numbered(products.tolist()), values)


def numbered(texts: Sequence[str]) -> NDArray[np.int64]:
    """The number of each text among the distinct ones in alphabetical order, (n,)."""
    numbers, _ = pd.factorize(np.array(texts, dtype=object), sort=True)
    return np.asarray(numbers, dtype=np.int64)


def _tables(path: Path) -> dict[str, Path]:
    """The tables' files by what the ids of their items begin with."""
    if not path.is_dir():
        return {"": path}
    if (path / _ITEMS).is_file():
        return {"": path / _ITEMS}
    found = {f"{table.parent.name}/": table for table in sorted(path.glob(f"*/{_ITEMS}"))}
    if not found:
        raise UserError(f"{path}: no {_ITEMS} in it, nor in the folders in it; {_REMEDY}")
    return found


def _remedy(path: Path, missing: Sequence[str]) -> str:
    """What to do about missing items: if some are of the catalogue that this folder is named after, give all tables."""
    folder = path if path.is_dir() else path.parent
    if any(key.startswith(f"{folder.name}/") for key in missing):
        return f"the store is of several catalogues, so give {folder.parent}, the folder with each one's table"
    return _REMEDY


def _read(path: Path, prefix: str, wanted: Sequence[str]) -> pd.DataFrame:
    """The columns `wanted` of one table, empty ones that it lacks; ids, products and photos begin with `prefix`."""
    known = _columns(path)
    lacking = [column for column in ("id", "product_id") if column not in known]
    if lacking:
        raise UserError(f"{path}: column(s) {', '.join(lacking)} missing; {_REMEDY}")
    present = [name for name in wanted if name in known]
    table = read_items(path, present, _REMEDY)
    if table["id"].duplicated().any():
        raise UserError(f"{path}: id {table['id'][table['id'].duplicated()].iloc[0]} is in several rows; {_REMEDY}")
    for name in _NAMED:
        if prefix and name in table:
            filled = table[name].fillna("") != ""
            table.loc[filled, name] = prefix + table.loc[filled, name]
    return table.reindex(columns=list(wanted))


def _columns(path: Path) -> list[str]:
    return parquet_columns(path, _REMEDY)


def _named(column: str, known: Sequence[str], path: Path) -> str:
    for name in (column, SOURCE + column):
        if name in known:
            return name
    raise UserError(f"{path}: no column {column}; found {', '.join(name.removeprefix(SOURCE) for name in known)}")


def _texts(column: "pd.Series[str]") -> list[str]:
    return ["" if pd.isna(value) else str(value).strip() for value in column]
