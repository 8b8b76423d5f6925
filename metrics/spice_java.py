"""The Java process that parses and scores for SPICE, and says how far it is."""

import os
import queue
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NoReturn

from tqdm import tqdm

from metrics.errors import UserError
from metrics.java import ended_with_block, find_java
from metrics.spice_cache import UnreadableParsesError

JAR = "spice-1.0.jar"
_SCRIPT = Path(__file__).parent / "templates" / "spice.js"
_OPENED = ("lang", "math", "util", "util.concurrent", "net", "text")
_MOST_HEAP = 8 * 2**30  # as pycocoevalcap
_STALL_SECONDS = 900.0  # no sign of life: a batch is some 4 s of work, one caption of 150 words a minute or two
_STARVED = re.compile('OutOfMemoryError|out of memory|NOT ENOUGH MEMORY|Could not reserve enough space|sg" is null')
_TASKS = {"parse": "SPICE: parsing new captions", "score": "SPICE: scoring"}


def run_spice(job: Path, parses: Path, scores: Path, jars: Path) -> int:
    """Parse and score what `job` holds, with progress bars; return how many captions the jar could not cache.

    The process ends when this one does, whatever ends it.

    Raises:
        UnreadableParsesError: when it failed before it had read `parses`.
        UserError: when Java or the jar is missing or fails, or shows no progress for 15 minutes.
    """
    command = [*_java(jars), str(job), str(parses), str(scores)]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)  # noqa: S603
        except OSError as error:
            raise UserError(f"Java ({command[0]}) could not be started: {error.strerror or error}") from error
        with process, ended_with_block(process):
            read, fleeting = _follow(process)
        if fleeting is None:
            raise (UserError if read else UnreadableParsesError)(_failure(process, errors))
    return fleeting


def spice_folder() -> Path:
    """Return the folder of the official jar, inside the package `pycocoevalcap`."""
    package = find_spec("pycocoevalcap")
    for location in (package.submodule_search_locations or ()) if package else ():
        folder = Path(location) / "spice"
        if (folder / JAR).is_file():
            return folder
    raise UserError(f"{JAR} is missing; it comes with `pip install pycocoevalcap`")


@cache
def java_version(java: Path) -> int:
    """Return the feature version of a Java that runs: 8, 17, 25."""
    done = subprocess.run([java, "-version"], capture_output=True, timeout=60, check=False)  # noqa: S603
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr.decode("utf-8", "replace"))
    return int(found[1]) if found else 8


def module_options(java: Path) -> list[str]:
    """Return what opens Java's own classes to the jar's serialisation; from Java 9 on, which knows modules."""
    names = _OPENED if java_version(java) >= 9 else ()
    return [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in names]


def _java(jars: Path) -> list[str]:
    java = find_java()
    class_path = os.pathsep.join((str(spice_folder() / JAR), str(jars / "*")))  # the jar names its libraries itself
    options = (*module_options(java), _heap(), "-Duser.language=en", "-Dfile.encoding=UTF-8", "-cp", class_path)
    return [str(java), *options, "org.mozilla.javascript.tools.shell.Main", "-opt", "-1", str(_SCRIPT)]


def _heap() -> str:
    """Return the option for the heap: 70% of the memory there is, 8 GB at most."""
    memory = [_MOST_HEAP / 0.7]
    if hasattr(os, "sysconf"):
        memory.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # absent, or "max"
            memory.append(int(Path(limit).read_text()))
    return f"-Xmx{int(0.7 * min(memory)) >> 20}m"


def _follow(process: subprocess.Popen[bytes]) -> tuple[bool, int | None]:
    """Show the process's progress until it ends; return whether it began to work, and what it counted at the end."""
    bar: tqdm[NoReturn] | None = None
    fleeting = None
    try:
        for line in _lines(process):
            task, _, number = line.partition(" ")
            if task in _TASKS:
                bar = _next_bar(bar, _TASKS[task], int(number))
            elif task == "done" and bar is not None:
                bar.update(int(number))
            elif task == "fleeting":
                fleeting = int(number)
    finally:
        if bar is not None:
            bar.close()
    return bar is not None, fleeting if process.wait() == 0 else None


def _next_bar(bar: "tqdm[NoReturn] | None", task: str, total: int) -> "tqdm[NoReturn]":
    if bar is not None:
        bar.close()
    return tqdm(total=total, desc=task, mininterval=1, disable=not total)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in process.stdout or ():
            found.put(line.decode("utf-8", "replace").strip())
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = found.get(timeout=_STALL_SECONDS)
        except queue.Empty:
            raise UserError(f"SPICE showed no progress for {_STALL_SECONDS / 60:.0f} minutes and was ended") from None
        if line is None:
            return
        yield line


def _failure(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace").strip()
    telling = [line for line in text.splitlines() if not line.lstrip().startswith(("at ", "..."))]
    reason = "\n".join(telling[-5:])
    if _STARVED.search(text):
        reason = f"not enough memory (Java may use {_heap()[4:]}B); score on a machine with more\n{reason}"
    if "UnsatisfiedLinkError" in text:
        reason = "the jar's cache only runs on a 64-bit x86 Java (Linux, macOS, Windows); name one by JAVA_HOME"
    return f"SPICE failed with exit code {process.returncode}: {reason}"
