"""The purchases of the demo's customers, who buy by taste from what the shop has launched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from finetune.data.demo.cuts import CUTS
from finetune.data.demo.departments import APPEARANCES, INDEXES
from finetune.data.demo.palette import COLOURS
from finetune.data.demo.shop import Article, Row

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FIRST_DAY, DAYS, LAST_WEEK = date(2020, 6, 24), 91, 7
ON_SALE_AT_FIRST, LAUNCHED_IN_LAST_WEEK = 0.4, 0.1
"""Shares of the articles; the others are launched in between."""
MEAN_PURCHASES = 30.0
PIECES_A_VISIT = 3.0
PRICE_UNIT = 590.0
TASTE = {"type": (2, 3.0), "colour": (3, 2.5), "pattern": (2, 2.0), "index": (1, 1.5)}
"""Attribute -> how many of its values a customer likes, and how much (added to the log of the odds to buy)."""
PRICE_SENSITIVITY = 1.5
POPULARITY = 0.8
FRESH_DAYS = 60.0
"""After so many days on sale the odds to be bought are 1/e of those at first."""
REPURCHASE = 0.08
_CELLS = 1 << 18  # of a block of customers x articles
_VALUES = {"type": list(CUTS), "colour": list(COLOURS), "pattern": list(APPEARANCES), "index": list(INDEXES)}


def purchase_rows(articles: Sequence[Article], customer_ids: Sequence[str], seed: int) -> Iterator[Row]:
    """Yield the lines of transactions_train.csv, ordered by day, then customer; `MEAN_PURCHASES` a customer.

    A customer's odds to buy an article that is on sale are exp(taste for its attributes + fit of its price + its
    popularity - its age).
    """
    rng = np.random.default_rng([seed, 4])
    visits = _visits(len(customer_ids), rng)
    bought = _repurchased(_picked(_Shelf(articles, seed), visits, rng), visits, rng)
    channels = rng.choice([1, 2], len(customer_ids), p=[0.3, 0.7])[visits.customers]
    channels = np.where(rng.random(len(bought)) < 0.9, channels, 3 - channels)
    sales = np.where(rng.random(len(bought)) < 0.15, 0.8, 1.0)
    days = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(DAYS)]
    for place in np.lexsort((visits.customers, visits.days)):
        article = articles[int(bought[place])]
        yield {
            "t_dat": days[visits.days[place]],
            "customer_id": customer_ids[int(visits.customers[place])],
            "article_id": article.article_id,
            "price": f"{article.price * float(sales[place]) / PRICE_UNIT:.9f}",
            "sales_channel_id": str(channels[place]),
        }


def launch_days(articles: Sequence[Article], seed: int) -> Integers:
    """The day (0..90) on which each article goes on sale (n,); the colourways of a product on the same."""
    codes = [article.product_code for article in articles]
    products, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 6]).permutation(len(products))
    earlier = np.empty(len(products))
    earlier[order] = (np.cumsum(counts[order]) - counts[order]) / len(articles)  # share of the articles before it
    shares = [0, ON_SALE_AT_FIRST, 1 - LAUNCHED_IN_LAST_WEEK, 1]
    days = np.floor(np.interp(earlier, shares, [0, 1, DAYS - LAST_WEEK, DAYS]))
    launched: Integers = np.where(earlier < ON_SALE_AT_FIRST, 0, days).astype(np.int64)[places]
    return launched


@dataclass(frozen=True)
class _Visits:
    """The customer and the day of each purchase (n,), ordered by customer, then day."""

    customers: Integers
    days: Integers
    firsts: Integers
    """(n,) the place of the customer's first purchase."""


def _visits(customers: int, rng: np.random.Generator) -> _Visits:
    """Several purchases of a customer fall on one visit."""
    counts = rng.geometric(1 / MEAN_PURCHASES, customers)
    owners = np.repeat(np.arange(customers), counts)
    visits = np.maximum(1, np.round(counts / PIECES_A_VISIT)).astype(np.int64)
    begins = np.cumsum(visits) - visits
    visit = begins[owners] + np.floor(rng.random(len(owners)) * visits[owners]).astype(np.int64)
    days = rng.integers(0, DAYS, visits.sum())[visit]
    return _Visits(owners, days[np.lexsort((days, owners))], np.repeat(np.cumsum(counts) - counts, counts))


class _Shelf:
    """All articles in the order of their launch, as columns of numbers."""

    def __init__(self, articles: Sequence[Article], seed: int) -> None:
        launched = launch_days(articles, seed)
        self.order = np.argsort(launched, kind="stable")
        ordered = [articles[place] for place in self.order]
        self.on_sale = np.searchsorted(launched[self.order], np.arange(DAYS), side="right")
        """(91,) how many articles are on sale on each day: so many of the first."""
        self.codes = {name: _codes(ordered, name) for name in TASTE}
        prices = np.log([article.price for article in ordered])
        self.prices = prices - prices.mean()
        popularity = np.random.default_rng([seed, 3]).normal(0, POPULARITY, len(articles))
        # An age of (day - launch) days lowers the odds by exp(-age / FRESH_DAYS); the day is the same for all articles.
        self.odds = np.exp(popularity + launched[self.order] / FRESH_DAYS)

    def odds_of(self, customers: int, rng: np.random.Generator) -> Floats:
        """The odds of all articles (customers, articles) for customers with tastes drawn at random."""
        fit = self.prices - rng.normal(0, 0.4, (customers, 1))
        odds: Floats = self.odds * np.exp(-PRICE_SENSITIVITY * fit**2)
        for name, (liked, weight) in TASTE.items():
            ranks = rng.random((customers, len(_VALUES[name]))).argsort(axis=1).argsort(axis=1)
            odds *= np.where(ranks < liked, np.exp(weight), 1.0).take(self.codes[name], axis=1)
        return odds


def _codes(articles: Sequence[Article], name: str) -> Integers:
    places = {value: place for place, value in enumerate(_VALUES[name])}
    return np.array(
        [places[article.index if name == "index" else getattr(article.garment, name)] for article in articles]
    )


def _picked(shelf: _Shelf, visits: _Visits, rng: np.random.Generator) -> Integers:
    """The article (n,) of each purchase, drawn from those on sale on its day."""
    customers = int(visits.customers[-1]) + 1
    block = max(1, _CELLS // len(shelf.order))
    parts = []
    for start in range(0, customers, block):
        end = min(start + block, customers)
        first, last = np.searchsorted(visits.customers, (start, end))
        owners, days = visits.customers[first:last] - start, visits.days[first:last]
        parts.append(_drawn(shelf.odds_of(end - start, rng), owners, shelf.on_sale[days], rng))
    return shelf.order[np.concatenate(parts)]


def _drawn(odds: Floats, rows: Integers, counts: Integers, rng: np.random.Generator) -> Integers:
    """For each of `rows` (m,) a column of `odds`, drawn by them from the first `counts` (m,)."""
    sums = np.cumsum(odds, axis=1)
    sums /= sums[:, -1:]
    wanted = rng.random(len(rows)) * sums[rows, counts - 1]
    sums += np.arange(len(sums))[:, None]  # so that one search serves all rows
    columns = np.searchsorted(sums.ravel(), wanted + rows, side="right") - rows * odds.shape[1]
    drawn: Integers = np.minimum(columns, counts - 1)
    return drawn


def _repurchased(picks: Integers, visits: _Visits, rng: np.random.Generator) -> Integers:
    """`picks` (n,), of which some repeat an earlier purchase of the same customer."""
    places = np.arange(len(picks))
    earlier = visits.firsts + np.floor(rng.random(len(picks)) * (places - visits.firsts)).astype(np.int64)
    origins = np.where((rng.random(len(picks)) < REPURCHASE) & (places > visits.firsts), earlier, places)
    while (origins[origins] != origins).any():
        origins = origins[origins]
    bought: Integers = picks[origins]
    return bought
