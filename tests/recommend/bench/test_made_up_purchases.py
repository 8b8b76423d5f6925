"""Made-up purchases: as many as asked for, in Kaggle's order, the same each time."""

from pathlib import Path

import numpy as np
from recommending import done

from recommend.bench.made_up_purchases import FULL, write_made_up_purchases
from recommend.interactions.purchases import PurchasesFolder


def test_they_have_the_shape_asked_for(tmp_path: Path) -> None:
    shape = FULL.times(1 / 5000)
    write_made_up_purchases(tmp_path / "one", shape)
    write_made_up_purchases(tmp_path / "two", shape)
    one, two = (((tmp_path / name) / "transactions_train.csv").read_bytes() for name in ("one", "two"))
    assert one == two
    printed = done("purchases", tmp_path / "one", "--out", tmp_path / "out")
    assert "dated before" not in printed and "left out" not in printed
    bought = PurchasesFolder.open(tmp_path / "out").purchases("original")
    assert (len(bought), bought.customer_count, len(bought.article_ids)) == (6_358, 272, 21)
    counts = np.sort(np.bincount(bought.customers, minlength=272))
    assert counts[0] >= 1  # every customer
    assert counts[-27:].sum() > 3 * counts[:136].sum()  # a tenth buys more than thrice as much as the less active half
