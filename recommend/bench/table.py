"""The output of `bench-recommend`."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from metrics.bench.table import processor
from metrics.common.formatting import duration
from metrics.common.tables import WideTable, print_tables
from recommend.bench.purchase_times import purchase_times
from recommend.bench.search_times import PairsTime, QueryTime, pairs_time, query_times

_WIDE, _NARROW = 2_048, 256


def print_bench(rows: int, million: int, queries: int) -> None:
    """Run all measurements and print each as it is made."""
    print_tables(_environment())
    table = WideTable(["one query"], ["items", "numbers each", "built in s", "ms a query", "fastest", "recall@10"])
    for measured in query_times(rows, _WIDE, ("exact", "flat", "fp16")):
        _add(table, measured)
    for measured in query_times(million, _NARROW, ("fp16", "ivf")):
        _add(table, measured)
    print_tables(table, _described(pairs_time(rows, _WIDE, queries)), _load())


def print_purchases(sizes: Sequence[int]) -> None:
    """Run every step at each size and print each as it is measured."""
    print_tables(_environment())
    for rows in sizes:
        table = WideTable(["made-up purchases"], ["rows", "s", "CPU s", "GB", "CPU us a row"], f"{rows:,} purchases")
        table.add_column("")
        for one in purchase_times(rows):
            figures = (f"{one.seconds:.1f}", f"{one.cpu:.1f}", f"{one.gigabytes:.2f}", f"{1e6 * one.cpu / rows:.2f}")
            table.add_row(one.name, f"{rows:,}", *figures, one.note)
            print(f"{one.name}: {one.seconds:.1f} s", flush=True)
        print_tables(table, _load())


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


def _environment() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu"))
    threads = os.environ.get("OMP_NUM_THREADS", "as many as cores")
    return (
        f"Python {platform.python_version()}, {versions}; {platform.system()} {platform.machine()}, {processor()}, "
        f"{os.cpu_count()} cores, threads: {threads}; {_load()}"
    )


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
