"""Made-up purchases of H&M's full shape, as Kaggle's CSV."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Integers = NDArray[np.int32]
_FIRST_DAY, _DAYS = date(2018, 9, 20), 734
_PIECES_A_BASKET = 3.5
_EXPONENT, _SHIFT = 1.2, 0.003
_SEED = 42
_ROWS = 1 << 20  # of a piece of the file


@dataclass(frozen=True)
class Shape:
    """How many purchases, by how many customers, of how many articles."""

    rows: int
    customers: int
    articles: int

    def times(self, factor: float) -> "Shape":
        """A smaller or larger one."""
        return Shape(round(self.rows * factor), round(self.customers * factor), round(self.articles * factor))


FULL = Shape(31_788_324, 1_362_281, 105_542)
"""H&M's, with the customers who bought."""


def write_made_up_purchases(folder: Path, shape: Shape = FULL) -> None:
    """Write articles.csv and transactions_train.csv into `folder`, the same bytes each time.

    Customers and articles follow power laws. Baskets of 3.5 pieces in the mean are ordered by day, then customer, as in
    Kaggle's file; every customer has at least one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(_SEED)
    articles = pl.Series("article_id", [f"0{100_000_000 + 7 * place}" for place in range(shape.articles)])
    articles.to_frame().write_csv(folder / "articles.csv")
    digits = draw.bytes(32 * shape.customers).hex()
    customers = pl.Series("customer_id", [digits[64 * place : 64 * (place + 1)] for place in range(shape.customers)])
    owners, days = _baskets(shape, draw)
    popularity = _power_law(shape.articles, draw)
    with (folder / "transactions_train.csv").open("wb") as file:
        for start in range(0, shape.rows, _ROWS):
            piece = slice(start, start + _ROWS)
            bought = np.searchsorted(popularity, draw.random(len(owners[piece])))
            rows = _rows(days[piece], customers[owners[piece]], articles[bought], draw)
            rows.write_csv(file, include_header=start == 0, float_precision=9)


def _baskets(shape: Shape, draw: np.random.Generator) -> tuple[Integers, Integers]:
    """Customer and day of each purchase, ordered by day, then customer."""
    baskets = min(shape.rows, max(shape.customers, round(shape.rows / _PIECES_A_BASKET)))
    sizes = 1 + np.bincount(draw.integers(baskets, size=shape.rows - baskets), minlength=baskets)
    further = np.searchsorted(_power_law(shape.customers, draw), draw.random(baskets - shape.customers))
    owners = np.concatenate([np.arange(shape.customers), further]).astype(np.int32)
    days = draw.integers(_DAYS, size=baskets, dtype=np.int32)
    order = np.lexsort((owners, days))
    return np.repeat(owners[order], sizes), np.repeat(days[order], sizes)


def _power_law(count: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """Cumulated shares of `count` things, that of rank r in proportion to (r + 0.003 count)^-1.2, in random order."""
    shares = (np.arange(count) + 1 + _SHIFT * count) ** -_EXPONENT
    sums: NDArray[np.float64] = np.cumsum(draw.permutation(shares))
    sums /= sums[-1]
    return sums


def _rows(days: Integers, customers: pl.Series, articles: pl.Series, draw: np.random.Generator) -> pl.DataFrame:
    dates = pl.Series("t_dat", [_FIRST_DAY + timedelta(days=day) for day in range(_DAYS)])
    channels = draw.integers(1, 3, len(days), dtype=np.int8)
    prices = pl.Series("price", draw.lognormal(-3.7, 0.6, len(days)))
    return pl.DataFrame([dates[days], customers, articles, prices, pl.Series("sales_channel_id", channels)])
