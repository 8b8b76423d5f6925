"""The Java process that parses and scores for SPICE, and its progress."""

import os
import queue
import re
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

from tqdm import tqdm

from metrics.common.errors import UserError
from metrics.common.parallel import ended_with_block, how_it_ended
from metrics.common.screen import progress
from metrics.measures.spice.install import JARS
from metrics.measures.spice.parses import UnreadableParsesError
from metrics.text.java import find_java, java_version, package_folder, start

JAR = "spice-1.0.jar"
_CLASS_PATH = "class-path.jar"
_SCRIPT = Path(__file__).with_name("spice.js")
_OPENED = ("lang", "math", "util", "util.concurrent", "net", "text")
_MOST_HEAP = 8 * 2**30  # as pycocoevalcap
_STALL_SECONDS = 900.0  # no sign of life: a batch is some 4 s of work, one caption of 150 words a minute or two
_STARVED = re.compile('OutOfMemoryError|out of memory|NOT ENOUGH MEMORY|Could not reserve enough space|sg" is null')
_CRASHES = ("#  SIGBUS", "#  SIGSEGV")  # what Java prints when the file is shorter than the database
_TASKS = {"parse": "SPICE: parsing new captions", "score": "SPICE: scoring"}


def run_spice(job: Path, parses: Path, scores: Path, jars: Path) -> int:
    """Parse and score the captions of `job`, with progress bars; return the number of captions that cannot be cached.

    The process ends when this one does, however it ends. A file that names the class path is written beside `job`.

    Raises:
        UnreadableParsesError: when the jar cannot read `parses`.
        UserError: when Java or the jar is missing or fails, or shows no progress for 15 minutes.
    """
    _write_class_path(job.parent / _CLASS_PATH, [spice_folder() / JAR, *(jars / jar.name for jar in JARS)])
    arguments = [*_options(), str(_SCRIPT), *(str(path.absolute()) for path in (job, parses, scores))]
    with tempfile.TemporaryFile() as errors:
        process = start(arguments, job.parent, errors.fileno())
        with process, ended_with_block(process):
            unreadable, uncached = _follow(process)
        if uncached is None:
            raise (UnreadableParsesError if unreadable else UserError)(_failure(process.returncode, errors))
    return uncached


def spice_folder() -> Path:
    """Return the folder of the official jar."""
    return package_folder("spice", JAR)


def module_options(java: Path) -> list[str]:
    """Return what opens Java's own classes to the jar's serialisation; from Java 9 on, which has modules."""
    names = _OPENED if java_version(java) >= 9 else ()
    return [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in names]


def _write_class_path(path: Path, jars: Sequence[Path]) -> None:
    """Write a jar that names other jars, each of which names its own libraries; so their paths may hold anything."""
    line = "Class-Path: " + " ".join(jar.absolute().as_uri() for jar in jars)
    lines = ["Manifest-Version: 1.0", *(line[at : at + 70] for at in range(0, len(line), 70))]
    folded = "\r\n".join([*lines[:2], *(f" {part}" for part in lines[2:]), ""])
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("META-INF/MANIFEST.MF", folded)


def _options() -> list[str]:
    shell = ("org.mozilla.javascript.tools.shell.Main", "-opt", "-1")
    return [*module_options(find_java()), _heap(), "-XX:+UseParallelGC", "-cp", _CLASS_PATH, *shell]


def _heap() -> str:
    """Return the option for the heap: 70% of the memory, at most 8 GB."""
    memory = [_MOST_HEAP / 0.7]
    if hasattr(os, "sysconf"):
        memory.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # absent, or "max"
            memory.append(int(Path(limit).read_text()))
    return f"-Xmx{int(0.7 * min(memory)) >> 20}m"


def _follow(process: subprocess.Popen[bytes]) -> tuple[bool, int | None]:
    """Show its progress until it ends; return whether parses were unreadable, and the number of uncached captions."""
    bar: tqdm[NoReturn] | None = None
    unreadable, uncached = False, None
    try:
        for line in _lines(process):
            task, _, number = line.partition(" ")
            if task in _TASKS:
                bar = _next_bar(bar, _TASKS[task], int(number))
            elif task == "done" and bar is not None:
                bar.update(int(number))
            elif task == "unreadable" or (bar is None and line.startswith(_CRASHES)):
                unreadable = True
            elif task == "uncached":
                uncached = int(number)
    finally:
        if bar is not None:
            bar.close()
    return unreadable, uncached if process.wait() == 0 else None


def _next_bar(bar: "tqdm[NoReturn] | None", task: str, total: int) -> "tqdm[NoReturn]":
    if bar is not None:
        bar.close()
    return progress(None, task, total=total, disable=not total)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.decode("utf-8", "replace").strip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_STALL_SECONDS)
        except queue.Empty as error:
            raise UserError(f"SPICE showed no progress for {_STALL_SECONDS / 60:.0f} minutes and was ended") from error
        if line is None:
            return
        yield line


def _failure(code: int, errors: IO[bytes]) -> str:
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace").strip()
    telling = [line for line in text.splitlines() if not line.lstrip().startswith(("at ", "..."))]
    reason = "\n".join(telling[-5:])
    if _STARVED.search(text):
        reason = f"not enough memory (Java may use {_heap()[4:]}B); score on a machine with more\n{reason}"
    if "UnsatisfiedLinkError" in text:
        reason = "the jar's cache only runs on a 64-bit x86 Java (Linux, macOS, Windows); name one by JAVA_HOME"
    return f"SPICE {how_it_ended(code)}" + (f": {reason}" if reason else "")
