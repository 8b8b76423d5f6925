"""One real week of H&M's purchases, where HM_DIR names its folder: figures computed without this code. Ten seconds."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommend.interactions.interactions import Split
from recommend.interactions.purchases import write_purchases
from recommend.interactions.splits import split
from recommend.ranking.estimates import estimates
from recommend.ranking.hits import hits
from recommend.ranking.relevant import relevant
from recommend.recommenders.registry import load_recommender

HM_DIR = os.environ.get("HM_DIR")
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not HM_DIR, reason="HM_DIR does not name the folder of the real H&M catalogue"),
]


def value(parts: Split, settings: dict[str, Any]) -> tuple[float | None, int]:
    """The mean nDCG@12 of the customers in both parts, and how many they are."""
    model = load_recommender(settings)
    model.fit(parts.train)
    history = np.bincount(parts.train.customers, minlength=parts.train.customer_count) > 0
    test = relevant(parts.test.customers, parts.test.articles, history)
    found = estimates(hits(model.recommend(test.customers, 12).ids, test), [12])["nDCG@12"]
    return found.value, found.customers


def test_a_real_week(tmp_path: Path) -> None:
    purchases = write_purchases(Path(str(HM_DIR)), tmp_path / "purchases").purchases("original")
    baskets = split(purchases, "per-user-80-20").restricted()
    days = split(purchases, "from-2020-09-21").restricted()
    assert value(baskets, {"recommender": "most-popular"}) == (pytest.approx(0.0091, abs=5e-5), 48_990)
    assert value(days, {"recommender": "most-popular"}) == (pytest.approx(0.0113, abs=5e-5), 3_455)
    # By `implicit` alone, its articles with a score of 0, which have been bought, left out; ties there fall otherwise.
    assert value(baskets, {"recommender": "item-knn"})[0] == pytest.approx(0.04806, abs=2e-4)
    assert value(days, {"recommender": "item-knn"})[0] == pytest.approx(0.02047, abs=4e-4)
