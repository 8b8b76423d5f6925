"""The output of `bench`."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from metrics.bench.runner import Outcome, bench
from metrics.bench.workloads import contests, lacking
from metrics.common.errors import UserError
from metrics.common.tables import WideTable, print_tables
from metrics.text.java import find_java


def print_bench(full: bool, stanza: str) -> None:
    """Run all contests that can run here; print inputs, versions, machine, and both sides' time and memory.

    Raises:
        UserError: when a side fails, or values differ.
    """
    print_tables(_environment())
    runnable = []
    for contest in contests(stanza):
        reason = lacking(contest, stanza)
        if reason:
            print_tables(f"{contest.name}: {reason}")
        else:
            runnable.append(contest)
    outcomes = []
    for outcome in bench(runnable, full):
        print_tables(f"{outcome.name}: {outcome.inputs}; {outcome.ratio:.1f} times faster")
        outcomes.append(outcome)
    print_tables(_table(outcomes))
    wrong = [f"{outcome.name}: {', '.join(outcome.different)}" for outcome in outcomes if outcome.different]
    if wrong:
        raise UserError(f"the values are not the same: {'; '.join(wrong)}")


def _table(outcomes: list[Outcome]) -> WideTable:
    headings = ("official s", "CPU s", "MB", "Lookbook s", "CPU s", "MB", "times faster", "values")
    table = WideTable(["contest"], headings, caption="whole processes, empty caches, one after the other")
    for outcome in outcomes:
        sides = [
            f"{number:.{places}f}"
            for run in (outcome.theirs, outcome.ours)
            for number, places in ((run.seconds, 1), (run.cpu_seconds, 1), (run.megabytes, 0))
        ]
        values = "differ" if outcome.different else "equal"
        table.add_row(outcome.name, *sides, f"{outcome.ratio:.1f}", values)
    return table


def _environment() -> str:
    java = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=True).stderr.splitlines()  # noqa: S603
    names = ("numpy", "pycocoevalcap", "rapidfuzz")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Python {platform.python_version()}, {versions}; {java[0]}\n"
        f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores{load}"
    )


def processor() -> str:
    """Return the name of the machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
