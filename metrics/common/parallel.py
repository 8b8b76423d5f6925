"""Parallel work: the number of cores, and child programs that are ended when another task fails."""

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
_ENDED = "was ended because another measure failed or the run was interrupted"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run tasks in threads and return their results; when one fails, or this thread is interrupted, all are ended.

    Their programs (`ended_with_block`) are killed and their waits (`raise_if_ended`) raise, also within nested calls.
    Calls in other threads are not affected.

    Raises:
        Exception: the one that the first task to fail raised.
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
    """Start one of our modules in a new Python process, single-threaded, with pipes to and from it."""
    return subprocess.Popen(  # noqa: S603
        python_module(module, argument),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=child_environment(OMP_NUM_THREADS="1"),
    )


@contextmanager
def ended_with_block(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a program when the block ends, or when another task of `side_by_side` fails."""
    with _current_group().running(process):
        try:
            yield
        finally:
            process.kill()
            process.wait()


def raise_if_ended() -> None:
    """Raise `UserError` if another task of the same `side_by_side` has failed; a task that waits calls this often."""
    if _current_group().over:
        raise UserError(_ENDED)


def how_it_ended(code: int) -> str:
    """Say how a failed program of this task ended, given its exit code as `subprocess` returns it."""
    if _current_group().over:
        return _ENDED
    if code == -9:
        return "was killed, often by the system when memory runs out: score fewer captions at a time, or free memory"
    return f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"


class _Group:
    """The programs of tasks that run side by side; a group may be nested in an outer one."""

    def __init__(self, outer: "_Group | None" = None) -> None:
        self._outer = outer
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = threading.Event()

    @property
    def over(self) -> bool:
        return self._ended.is_set() or (self._outer is not None and self._outer.over)

    @contextmanager
    def running(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kill the program if this group, or one outside it, ends while the block runs."""
        self._running.add(process)
        try:
            if self._ended.is_set():
                process.kill()
            if self._outer is None:
                yield
            else:
                with self._outer.running(process):
                    yield
        finally:
            self._running.discard(process)

    def end(self) -> None:
        self._ended.set()
        for process in list(self._running):
            process.kill()


_group: ContextVar[_Group | None] = ContextVar("_group", default=None)


def _current_group() -> _Group:
    return _group.get() or _Group()
