"""The benchmark of search, on a few rows."""

import pytest
from recommending import done

from recommend.bench.search_times import PairsTime


def test_it_prints_queries_and_all_pairs_side_by_side() -> None:
    pytest.importorskip("faiss")
    printed = done("bench-recommend", "--rows", 300, "--million", 400, "--queries", 100)
    for kind, rows in (("exact", 300), ("flat", 300), ("fp16", 300), ("ivf", 400)):
        assert any(line.split()[:2] == [kind, str(rows)] for line in printed.splitlines())
    assert "the 10 nearest of 100 of 300 items" in printed
    assert "the bare matrix products: " in printed and "load " in printed


def test_the_ratio() -> None:
    assert PairsTime(10, 2, 10, ours=2.6, products=2.0).ratio == pytest.approx(1.3)
