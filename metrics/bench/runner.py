"""Lookbook compared with the official scorers: equal values, time and memory of both, measured in one run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.processes import child_environment
from metrics.text.java import find_java

Values = dict[str, list[Any]]
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Contest:
    """The same work done by Lookbook and by others, each in its own process with an empty cache.

    Attributes:
        name: what is computed.
        sizes: the number of inputs, and the number of a full run.
        inputs: takes a folder and the number of pairs, writes the inputs into it and returns a description of them.
        ours: takes the folder and returns each measure's values, that of the corpus first, then those of the items.
        theirs: the same, by the official scorers.
        again: whether Lookbook runs a second time, with its cache.
    """

    name: str
    sizes: tuple[int, int]
    inputs: Callable[[Path, int], str]
    ours: Callable[[Path], Values]
    theirs: Callable[[Path], Values]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One side: wall seconds, CPU seconds and peak memory in MB, child processes included, and the values."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    values: Values


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both sides of a contest over the same inputs."""

    name: str
    inputs: str
    ours: Run
    theirs: Run

    @property
    def ratio(self) -> float:
        """How many times faster Lookbook is."""
        return self.theirs.seconds / self.ours.seconds

    @property
    def different(self) -> list[str]:
        """The measures whose values, of corpus or items, are not identical floats."""
        return [name for name, values in self.theirs.values.items() if self.ours.values.get(name) != values]


def bench(contests: Sequence[Contest], full: bool = False) -> Iterator[Outcome]:
    """Run both sides of every contest, one process after the other, and yield the outcome.

    Raises:
        UserError: when a side fails, with the end of its output.
    """
    for contest in contests:
        with temporary_folder() as folder:
            inputs = contest.inputs(folder, contest.sizes[full])
            theirs, ours = (_measure(contest, side, folder) for side in ("theirs", "ours"))
            yield Outcome(contest.name, inputs, ours, theirs)
            if contest.again:
                yield Outcome(f"{contest.name}, again", inputs, _measure(contest, "ours", folder), theirs)


def _measure(contest: Contest, side: str, folder: Path) -> Run:
    work = getattr(contest, side)
    call = f"import sys, json, pathlib, {work.__module__} as m; folder = pathlib.Path(sys.argv[1]); "
    call += "from metrics.common.processes import end_with_starter; end_with_starter(); "
    call += f"(folder / 'values.json').write_text(json.dumps(m.{work.__name__}(folder)))"
    environment = _environment() | {"LOOKBOOK_CACHE": str(folder / f"cache of {side}")}
    log = folder / f"{side}.log"
    start, used, peak = time.perf_counter(), _cpu_of_children(), 0
    command = [sys.executable, "-c", call, str(folder)]
    with log.open("wb") as out, _started(command, out, environment) as process:
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - start
    if process.returncode:
        output = log.read_text(encoding="utf-8", errors="replace").strip()
        raise UserError(f"{contest.name}: {side} failed with exit code {process.returncode}: {output[-2000:]}")
    cpu_seconds = _cpu_of_children() - used
    return Run(seconds, cpu_seconds, peak / 1e6, json.loads((folder / "values.json").read_text(encoding="utf-8")))


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _started(command: list[str], out: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)  # noqa: S603


def _environment() -> dict[str, str]:
    """The official scorers call `java` from PATH, and read and write in the system's encoding."""
    path = os.environ.get("PATH", "")
    if not shutil.which("java"):
        path = f"{find_java().parent}{os.pathsep}{path}"
    return child_environment(PATH=path, LC_ALL="C.UTF-8")


def _memory(pid: int) -> int:
    """Return the resident memory of a process and its descendants in bytes; 0 if the system has no /proc."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = [path for path in Path(f"/proc/{pid}/task").iterdir() if path.name != str(pid)]
        children += [child for path in threads for child in (path / "children").read_text().split()]
    except OSError:
        return 0
    return resident + sum(_memory(int(child)) for child in children)
