"""Purchases to fit recommenders on."""

import numpy as np

from recommend.interactions.interactions import Purchases

CUSTOMERS, ARTICLES = 60, 40


def drawn_purchases(seed: int = 0) -> Purchases:
    """700 purchases over 30 days in three tastes; the last customer buys nothing, nobody buys the last article."""
    draw = np.random.default_rng(seed)
    customers = draw.integers(CUSTOMERS - 1, size=700)
    articles = (13 * (customers % 3) + draw.geometric(0.15, 700)) % (ARTICLES - 1)
    columns = [column.astype(np.int32) for column in (customers, articles, 18_000 + draw.integers(30, size=700))]
    return Purchases(*columns, CUSTOMERS, [f"{place:010d}" for place in range(ARTICLES)])
