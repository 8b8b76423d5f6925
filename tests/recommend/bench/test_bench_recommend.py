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


@pytest.mark.slow
def test_it_prints_every_step_on_purchases(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, and without VBPR, whose epochs take long."""
    pytest.importorskip("polars")
    from recommend.bench import purchase_times
    from recommend.bench.purchase_steps import steps

    known = {name: step for name, step in steps().items() if "VBPR" not in name and "the same" not in name}
    monkeypatch.setattr(purchase_times, "steps", lambda: known)
    monkeypatch.setattr(purchase_times, "in_own_process", lambda work, *arguments: work(*arguments))
    printed = done("bench-recommend", "--part", "purchases", "--purchases", 10_000)
    rows = {name: [line for line in printed.splitlines() if line.startswith(f"{name} ")] for name in known}
    assert all(len(lines) == 1 and "10,000" in lines[0] for lines in rows.values())
    assert "nDCG@12 0." in rows["evaluation"][0]


def test_the_ratio() -> None:
    assert PairsTime(10, 2, 10, ours=2.6, products=2.0).ratio == pytest.approx(1.3)
