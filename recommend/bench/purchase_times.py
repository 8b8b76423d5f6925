"""Time and memory of each step on made-up purchases, each in a process of its own."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metrics.common.drafts import temporary_folder
from metrics.common.processes import in_own_process
from recommend.bench.made_up_purchases import FULL, write_made_up_purchases
from recommend.bench.purchase_steps import CSV, steps


@dataclass(frozen=True)
class StepTime:
    """One step.

    Attributes:
        name: what it does.
        rows: purchases of the file.
        seconds: on the clock.
        cpu: seconds of all its threads.
        gigabytes: the most that its process had in memory, what the step needs read included.
        note: what came out.
    """

    name: str
    rows: int
    seconds: float
    cpu: float
    gigabytes: float
    note: str


def purchase_times(rows: int) -> Iterator[StepTime]:
    """Make purchases of H&M's shape up, `rows` of them, and run every step; the time to make them up is not counted."""
    with temporary_folder() as folder:
        in_own_process(write_made_up_purchases, folder / CSV, FULL.times(rows / FULL.rows))
        for name in steps():
            yield in_own_process(_timed, name, rows, folder)


def _timed(name: str, rows: int, folder: Path) -> StepTime:
    step, times = steps()[name]
    work = step(folder)
    start, used = time.perf_counter(), time.process_time()
    note = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    return StepTime(name, rows, times * seconds, times * cpu, _peak(), note)


def _peak() -> float:
    """The most memory that this process has had, in GB; 0 where the system does not say."""
    status = Path(f"/proc/{os.getpid()}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 / 1e9 if found else 0.0
