"""Work that runs side by side: on how many cores, and the programs that end when a part of it fails."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TypeVar

from metrics.common.errors import UserError
from metrics.common.processes import child_environment, python_module

Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks in threads and return what they return; when one fails, or this thread is interrupted, all end.

    That is, their programs (`ended_with_block`) and waits (`go_on`) end, those of calls within them too; calls in
    other threads have their own.

    Raises:
        Exception: what the first task to fail has raised.
    """
    group = _Group(_group.get())
    with ThreadPoolExecutor(max(len(tasks), 1), initializer=_group.set, initargs=(group,)) as pool:
        try:
            pending = [pool.submit(task) for task in tasks]
            for done in as_completed(pending):
                done.result()
        except BaseException:
            group.end()
            raise
    return [done.result() for done in pending]


def start_python(module: str, argument: str, errors: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a module of ours in a Python of its own, single-threaded, with pipes to and from it."""
    return subprocess.Popen(  # noqa: S603
        python_module(module, argument),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=child_environment(OMP_NUM_THREADS="1"),
    )


@contextmanager
def ended_with_block(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a program when the block is over, or when another task of `side_by_side` fails."""
    with _here().having(process):
        try:
            yield
        finally:
            process.kill()
            process.wait()


def go_on() -> None:
    """Let a task of `side_by_side` that waits go on; raises `UserError` when another task has failed."""
    if _here().over:
        raise UserError("was ended, since another measure failed or the run was interrupted")


def how_it_ended(code: int) -> str:
    """Say how a program of this task that failed has ended, by its exit code as `subprocess` gives it."""
    if _here().over:
        return "was ended, since another measure failed or the run was interrupted"
    if code == -9:
        return "was killed, often by the system when memory runs out: score fewer captions at a time, or free memory"
    return f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"


class _Group:
    """The programs of tasks that run side by side, within those of the group outside."""

    def __init__(self, outer: "_Group | None" = None) -> None:
        self._outer = outer
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = threading.Event()

    @property
    def over(self) -> bool:
        return self._ended.is_set() or (self._outer is not None and self._outer.over)

    @contextmanager
    def having(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Count a program among those that end with this group, and with those outside it, while the block runs."""
        self._running.add(process)
        try:
            if self._ended.is_set():
                process.kill()
            if self._outer is None:
                yield
            else:
                with self._outer.having(process):
                    yield
        finally:
            self._running.discard(process)

    def end(self) -> None:
        self._ended.set()
        for process in list(self._running):
            process.kill()


_group: ContextVar[_Group | None] = ContextVar("_group", default=None)


def _here() -> _Group:
    return _group.get() or _Group()
