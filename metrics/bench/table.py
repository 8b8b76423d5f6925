"""The output of `bench`."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from metrics.bench.runner import Outcome, bench
from metrics.bench.workloads import contests, lacking
from metrics.common.errors import UserError
from metrics.text.java import find_java


def print_bench(full: bool, stanza: str) -> None:
    """Run all contests that can run here; print inputs, versions, machine, and both sides' time and memory.

    Raises:
        UserError: when a side fails, or values differ.
    """
    console = Console()
    console.print(_environment(), highlight=False, soft_wrap=True)
    runnable = []
    for contest in contests(stanza):
        reason = lacking(contest, stanza)
        if reason:
            console.print(f"{contest.name}: {reason}", highlight=False, soft_wrap=True)
        else:
            runnable.append(contest)
    outcomes = []
    for outcome in bench(runnable, full):
        line = f"{outcome.name}: {outcome.inputs}; {outcome.ratio:.1f} times faster"
        console.print(line, highlight=False, soft_wrap=True)
        outcomes.append(outcome)
    console.print(_table(outcomes))
    wrong = [f"{outcome.name}: {', '.join(outcome.different)}" for outcome in outcomes if outcome.different]
    if wrong:
        raise UserError(f"the values are not the same: {'; '.join(wrong)}")


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(
        caption="whole processes, empty caches, one after the other",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("contest", overflow="fold")
    for heading in ("official s", "CPU s", "MB", "Lookbook s", "CPU s", "MB", "times faster", "values"):
        table.add_column(heading, justify="right")
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
        f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores{load}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
