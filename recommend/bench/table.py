"""The output of `bench-recommend` on search, and the machine that it ran on."""

import os
import platform
from importlib.metadata import version

from metrics.bench.table import processor
from metrics.common.formatting import duration
from metrics.common.tables import WideTable, print_tables
from recommend.bench.search_times import PairsTime, QueryTime, pairs_time, query_times

_WIDE, _NARROW = 2_048, 256


def print_search(rows: int, million: int, queries: int) -> None:
    """Measure search, and print the tables."""
    table = WideTable(["one query"], ["items", "numbers each", "built in s", "ms a query", "fastest", "recall@10"])
    for measured in query_times(rows, _WIDE, ("exact", "flat", "fp16")):
        _add(table, measured)
    for measured in query_times(million, _NARROW, ("fp16", "ivf")):
        _add(table, measured)
    print_tables(table, _described(pairs_time(rows, _WIDE, queries)), load())


def _add(table: WideTable, one: QueryTime) -> None:
    figures = (f"{one.build:.1f}", f"{1000 * one.query:.1f}", f"{1000 * one.fastest:.1f}", f"{one.recall:.4f}")
    table.add_row(one.kind, f"{one.rows:,}", f"{one.dimensions:,}", *figures)


def _described(pairs: PairsTime) -> str:
    whole = pairs.rows / pairs.queries
    return (
        f"all pairs: the 10 nearest of {pairs.queries:,} of {pairs.rows:,} items ({pairs.dimensions:,} numbers each) "
        f"among all: {pairs.ours:.1f} s; the bare matrix products: {pairs.products:.1f} s; {pairs.ratio:.2f} times as "
        f"long; for all items {duration(whole * pairs.ours)}"
    )


def print_environment() -> None:
    """Print versions and machine."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu", "torch"))
    threads = os.environ.get("OMP_NUM_THREADS", "as many as cores")
    print_tables(
        f"Python {platform.python_version()}, {versions}; {platform.system()} {platform.machine()}, {processor()}, "
        f"{os.cpu_count()} cores, threads: {threads}; {load()}"
    )


def load() -> str:
    """How busy the machine is."""
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
