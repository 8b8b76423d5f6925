"""The output of `bench-recommend` on recommenders."""

from collections.abc import Sequence

from metrics.common.screen import say
from metrics.common.tables import WideTable, print_tables
from recommend.bench.purchase_times import purchase_times
from recommend.bench.table import load


def print_purchases(sizes: Sequence[int]) -> None:
    """Run every step on so many made-up purchases; print each as it is measured, and a table of each size."""
    for rows in sizes:
        table = WideTable([f"{rows:,} purchases"], ["s", "CPU s", "peak GB", "CPU us a purchase", ""])
        for one in purchase_times(rows):
            figures = (f"{one.seconds:.1f}", f"{one.cpu:.1f}", f"{one.gigabytes:.2f}", f"{1e6 * one.cpu / rows:.2f}")
            say(f"{one.name}: {figures[0]} s, {figures[1]} CPU s, {figures[2]} GB {one.note}".rstrip())
            table.add_row(one.name, *figures, one.note)
        print_tables(table, load())
