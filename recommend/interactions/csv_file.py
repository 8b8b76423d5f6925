"""Kaggle's transactions_train.csv as arrays of integers; it is streamed, its texts are never in memory at once."""

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from metrics.common.errors import UserError
from metrics.common.files import refuse_special

Integers = NDArray[np.int32]
Result = TypeVar("Result")
CUSTOMER, ARTICLE, DAY, PRICE = "customer_id", "article_id", "t_dat", "price"
REQUIRED = (DAY, CUSTOMER, ARTICLE)
_LONGEST_HEADER = 1 << 16  # bytes
NAMED = 5
"""How many unknown articles are named."""
COUNTED = (
    "rows",
    "purchases",
    "of_unknown_articles",
    "without_customer",
    "without_price",
    "repeated",
    "out_of_order",
    "customers",
    "customers_without_purchase",
)
_REMEDY = "use the file as Kaggle ships it"


@dataclass(frozen=True)
class Table:
    """The n purchases of a file, in its order.

    Attributes:
        customers, articles: places in `customer_ids` and in the article ids asked for (n,).
        days: since 1970-01-01 (n,).
        customer_ids: all customers, sorted; of a second file too.
        counts: rows read, left out and noteworthy.
        unknown: articles that are not among those asked for, with the number of their purchases, which are left out.
    """

    customers: Integers
    articles: Integers
    days: Integers
    customer_ids: pl.Series
    counts: dict[str, int]
    unknown: dict[str, int]


def read_table(path: Path, article_ids: Sequence[str], customers_csv: Path | None = None) -> Table:
    """Read the purchases in `path` of the articles `article_ids` (sorted).

    Purchases without a customer or of unknown articles are left out and counted. `customers_csv` names further
    customers.

    Raises:
        UserError: if the file is missing, cut short or no such table, lacks a column, has a date or an article that
            cannot be read, ids that lost their zeros, or no purchase of a known article.
    """
    columns = _header(path)
    require_last_line_break(path)
    lines = _scan(path)
    customer_ids = _customer_ids(path, lines, customers_csv)
    known = pl.Series(article_ids, dtype=pl.String)
    unknown = _unknown_articles(path, lines, known)
    _refuse_lost_zeros(path, unknown, set(article_ids))
    places = _reading(path, lambda: _places(lines, customer_ids, known, PRICE in columns))
    return _whole(path, lines, places, customer_ids, unknown)


def _header(path: Path) -> list[str]:
    refuse_special(path)
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace")
    try:
        columns = next(csv.reader([line]), [])
    except csv.Error as error:
        raise UserError(f"{path}: row 1: {error}; {_REMEDY}") from error
    lacking = [name for name in REQUIRED if name not in columns]
    if lacking:
        found = ", ".join(columns)[:200] or "an empty line"
        raise UserError(f"{path}: row 1: column(s) {', '.join(lacking)} missing, found {found}; {_REMEDY}")
    return columns


def require_last_line_break(path: Path) -> None:
    """Raise `UserError` if a table does not end in a line break, as one that is cut short, or is no file."""
    refuse_special(path)
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 1))
        if file.read() != b"\n":
            raise UserError(f"{path}: the last line does not end in a line break: is the file cut short? {_REMEDY}")


def _scan(path: Path) -> pl.LazyFrame:
    return pl.scan_csv(path, infer_schema=False, encoding="utf8")


def _reading(path: Path, read: Callable[[], Result]) -> Result:
    try:
        return read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: cannot read the table ({reason}); {_REMEDY}") from error


def _customer_ids(path: Path, lines: pl.LazyFrame, customers_csv: Path | None) -> pl.Series:
    found = [_distinct_customers(path, lines)]
    if customers_csv is not None:
        require_last_line_break(customers_csv)
        found.append(_distinct_customers(customers_csv, _scan(customers_csv)))
    return pl.concat(found).unique().sort()


def _distinct_customers(path: Path, lines: pl.LazyFrame) -> pl.Series:
    wanted = lines.select(pl.col(CUSTOMER).drop_nulls().unique())
    return _reading(path, lambda: wanted.collect(engine="streaming"))[CUSTOMER]


def _unknown_articles(path: Path, lines: pl.LazyFrame, known: pl.Series) -> dict[str, int]:
    """Unknown ids, sorted, with the number of their purchases; an empty one stops the run."""
    counted = _reading(path, lambda: lines.group_by(ARTICLE).len().collect(engine="streaming"))
    if counted[ARTICLE].has_nulls():
        empty = _first(lines, pl.col(ARTICLE).is_null())
        raise UserError(f"{path}: row {empty}: has no {ARTICLE}; {_REMEDY}")
    unknown = counted.filter(~pl.col(ARTICLE).is_in(known.implode())).sort(ARTICLE)
    return dict(unknown.iter_rows())


def _first(lines: pl.LazyFrame, condition: pl.Expr) -> int:
    """The row, counted from 1 with the header, of the first purchase that meets the condition."""
    found = lines.with_row_index("row", 2).filter(condition).select("row").head(1)
    return int(found.collect(engine="streaming").item())


def _refuse_lost_zeros(path: Path, unknown: dict[str, int], known: set[str]) -> None:
    width = max(map(len, known), default=0)
    for article in unknown:
        if article.zfill(width) in known:
            raise UserError(
                f"{path}: article {article!r} is {article.zfill(width)!r} in the catalogue: its zeros are lost; was "
                f"the file saved by a program that reads ids as numbers? {_REMEDY}, or write {ARTICLE} as text"
            )


def _places(lines: pl.LazyFrame, customers: pl.Series, articles: pl.Series, has_price: bool) -> pl.DataFrame:
    """Days and places as integers, null where there is none, in the order of the file.

    An Enum has the codes that the order of its categories gives: places in the sorted ids. (A Categorical numbers
    texts as they come, differently from run to run.) Every column is asked for: only then does polars notice
    rows of too many fields.
    """

    def place(column: str, ids: pl.Series) -> pl.Expr:
        return pl.col(column).cast(pl.Enum(ids), strict=False).to_physical().cast(pl.Int32)

    return lines.select(
        place(CUSTOMER, customers),
        place(ARTICLE, articles),
        pl.col(DAY).str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32),
        (pl.col(PRICE) if has_price else pl.lit(None)).is_null().alias(PRICE),
        pl.exclude(*REQUIRED, PRICE).is_null(),
    ).collect(engine="streaming")[:, :4]


def _whole(
    path: Path, lines: pl.LazyFrame, places: pl.DataFrame, customer_ids: pl.Series, unknown: dict[str, int]
) -> Table:
    if places[DAY].has_nulls():
        row = int(places[DAY].is_null().arg_max() or 0)
        text = lines.slice(row, 1).select(DAY).collect().item()
        raise UserError(f"{path}: row {row + 2}: expected a date like 2020-09-22 in {DAY}, found {text!r}; {_REMEDY}")
    kept = places.drop_nulls([CUSTOMER, ARTICLE])
    if kept.is_empty():
        named = ", ".join(list(unknown)[:NAMED]) or "none"
        raise UserError(f"{path}: no purchase of a customer and an article of this catalogue; found articles {named}")
    days, customers, articles = (kept[name].to_numpy() for name in (DAY, CUSTOMER, ARTICLE))
    of_unknown = places[ARTICLE].null_count()
    counts = {
        "rows": len(places),
        "purchases": len(kept),
        "of_unknown_articles": of_unknown,
        "without_customer": len(places) - len(kept) - of_unknown,
        "without_price": int(kept[PRICE].sum()),
        "repeated": _repeated(customers, articles, days),
        "out_of_order": int((days[1:] < days[:-1]).sum()),
        "customers": len(customer_ids),
        "customers_without_purchase": len(customer_ids) - int((np.bincount(customers) > 0).sum()),
    }
    return Table(customers, articles, days, customer_ids, counts, unknown)


def _repeated(customers: Integers, articles: Integers, days: Integers) -> int:
    """How many purchases repeat an earlier one: same customer, article and day."""
    keys = customers * (np.int64(articles.max()) + 1) + articles
    keys *= np.int64(days.max()) - int(days.min()) + 1
    keys += days - days.min()
    keys.sort()
    return int((keys[1:] == keys[:-1]).sum())
