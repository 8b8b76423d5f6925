"""Purchases by customers who each like one kind of article, and features that tell the kinds apart."""

from dataclasses import dataclass

import numpy as np

from recommend.interactions.interactions import Purchases
from recommend.recommenders.base import ItemFeatures

KINDS = 4


@dataclass(frozen=True)
class Tastes:
    """`cold` (I,): articles that nobody bought in `train`."""

    train: Purchases
    test: Purchases
    features: ItemFeatures
    cold: np.ndarray


def tastes(customers: int = 120, articles: int = 60, each: int = 8, seed: int = 0) -> Tastes:
    """The last purchases of each customer, and all of every tenth article, are the test part."""
    draw = np.random.default_rng(seed)
    kind = np.arange(articles) % KINDS
    bought = [draw.choice(np.flatnonzero(kind == customer % KINDS), each) for customer in range(customers)]
    of_customer = np.repeat(np.arange(customers), each)
    cold = np.arange(articles) % 10 == 0
    everything = purchases(of_customer, np.concatenate(bought), customers, articles)
    later = (np.arange(len(everything)) % each >= each - 2) | cold[everything.articles]
    rows = 3 * np.eye(KINDS)[kind] + draw.normal(0, 0.3, (articles, KINDS)) + 5
    features = ItemFeatures(rows.astype(np.float32), np.ones(articles, dtype=bool), "kinds")
    return Tastes(everything.taken(~later), everything.taken(later), features, cold)


def purchases(customers: np.ndarray, articles: np.ndarray, customer_count: int, article_count: int) -> Purchases:
    """Purchases of one day."""
    ids = [f"{place:04d}" for place in range(article_count)]
    places = [np.asarray(one, dtype=np.int32) for one in (customers, articles)]
    return Purchases(*places, np.zeros(len(places[0]), dtype=np.int32), customer_count, ids)
