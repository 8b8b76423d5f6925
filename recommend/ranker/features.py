"""The features of candidates: of the customer, the article, the period, and of both together.

All are of the history alone. Popularity is in one of them, `bestseller_rank`, so that it can be left out.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommend.ranker.candidates import Candidates
from recommend.ranker.catalogue import Catalogue
from recommend.ranker.codes import UNKNOWN
from recommend.ranker.history import Floats, History, Places

BESTSELLER_RANK = "bestseller_rank"
SAME = ("product_type_no", "department_no", "colour_group_code")
"""Columns for which it is asked what share of the customer's articles has the candidate's value."""
Columns = dict[str, Floats]


def base_features(found: Candidates, history: History, catalogue: Catalogue) -> Columns:
    """Every feature of n candidates but those of an arm, by name, (n,); NaN where something is not known."""
    return {
        **_of_customers(found, history, catalogue),
        **_of_articles(found.articles, history, catalogue),
        **_of_pairs(found, history, catalogue),
    }


def _of_customers(found: Candidates, history: History, catalogue: Catalogue) -> Columns:
    owners, pairs = history.of(found.customers)
    count = len(found.customers)
    articles = np.bincount(owners, minlength=count)
    purchases = np.bincount(owners, weights=history.times[pairs], minlength=count)
    last = np.full(count, np.nan, dtype=np.float32)
    np.fmin.at(last, owners, history.days_ago[pairs])
    columns: dict[str, NDArray[Any]] = {
        "customer_articles": articles,
        "customer_purchases": purchases,
        "customer_days_since_purchase": last,
        **{f"customer_{name}": values[found.customers] for name, values in catalogue.customers.columns.items()},
    }
    return {name: values[found.owners].astype(np.float32) for name, values in columns.items()}


def _of_articles(articles: Places, history: History, catalogue: Catalogue) -> Columns:
    """The place of an article in the order of ids stands for `article_id`, which float32 does not hold."""
    codes = {name: _or_nan(values[articles]) for name, values in catalogue.codes.items()}
    return {"article_id": articles.astype(np.float32), **codes, BESTSELLER_RANK: history.rank[articles]}


def _or_nan(codes: Places) -> Floats:
    return np.where(codes == UNKNOWN, np.nan, codes).astype(np.float32)


def _of_pairs(found: Candidates, history: History, catalogue: Catalogue) -> Columns:
    pairs = found.pairs(history)
    before = pairs >= 0
    same = {name: catalogue.codes[name] for name in SAME if name in catalogue.codes}
    shares = {name: _share(found, history, codes) for name, codes in (*same.items(), ("product", catalogue.products))}
    return {
        "bought_times": np.where(before, history.times[pairs], 0).astype(np.float32),
        "bought_days_ago": np.where(before, history.days_ago[pairs], np.nan).astype(np.float32),
        "similar_to_bought": found.cosines,
        **{f"bought_share_of_{name}": values for name, values in shares.items()},
    }


def _share(found: Candidates, history: History, codes: Places) -> Floats:
    """The share of each customer's articles that has the candidate's code, (n,); NaN without a history."""
    owners, pairs = history.of(found.customers)
    width = int(codes.max(initial=0)) + 2  # the unknown code is -1
    held, counts = np.unique(owners * width + codes[history.articles[pairs]] + 1, return_counts=True)
    if not len(held):
        return np.full(len(found.articles), np.nan, dtype=np.float32)
    asked = found.owners * width + codes[found.articles] + 1
    place = np.minimum(np.searchsorted(held, asked), len(held) - 1)
    articles = history.bought_by(found.customers)[found.owners]
    shares = np.where(held[place] == asked, counts[place], 0) / np.maximum(articles, 1)
    return np.where(articles > 0, shares, np.nan).astype(np.float32)
