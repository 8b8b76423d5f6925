"""What the screen, or a log, shows of work: how far it is, how much is said (--quiet, --verbose)."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO, TypeVar, overload

from tqdm import tqdm

from metrics.common.errors import UserError
from metrics.common.formatting import printable

Item = TypeVar("Item")
LINE_SECONDS = 30.0
_VERBOSITY = "LOOKBOOK_VERBOSITY"  # in the environment, so that child processes say as much
_NO_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"  # which transformers reads too
_OF_LIBRARIES = {  # how they are told, before they are imported
    "TRANSFORMERS_VERBOSITY": "info",
    "DATASETS_VERBOSITY": "info",
    "HF_HUB_VERBOSITY": "info",
    "ACCELERATE_LOG_LEVEL": "INFO",
}


@contextmanager
def verbosity(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Let the block, and processes that it starts, say less or more; without either, as much as the process around it.

    Quiet: warnings, errors and the result that was asked for. Verbose: also what libraries log at level INFO. Where
    stderr is no terminal, libraries show no bars.

    Raises:
        UserError: when it is to be both.
    """
    if quiet and verbose:
        raise UserError("--quiet and --verbose: give one of them")
    changes = {_VERBOSITY: "quiet"} if quiet else {_VERBOSITY: "verbose", **_OF_LIBRARIES} if verbose else {}
    if quiet or not sys.stderr.isatty():
        changes[_NO_BARS] = os.environ.get(_NO_BARS, "1")
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    if is_verbose():
        logging.basicConfig(level=logging.INFO)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def is_quiet() -> bool:
    """Whether only warnings, errors and results are shown."""
    return os.environ.get(_VERBOSITY) == "quiet"


def is_verbose() -> bool:
    """Whether libraries' information is shown too."""
    return os.environ.get(_VERBOSITY) == "verbose"


def say(*words: object, file: TextIO | None = None) -> None:
    """Print what is done, or was found, on the way to a result, `printable`; nothing if `is_quiet`."""
    if not is_quiet():
        print(*map(printable, words), file=file, flush=True)


@overload
def progress(items: Iterable[Item], title: str, **options: Any) -> "tqdm[Item]": ...
@overload
def progress(items: None, title: str, **options: Any) -> "tqdm[NoReturn]": ...
def progress(items: Iterable[Any] | None, title: str, **options: Any) -> "tqdm[Any]":
    """A bar over `items`, or over what is passed to its `update`; `options` are tqdm's.

    Where stderr is no terminal, it is a line every 30 s at most. Nothing is shown if `is_quiet`.
    """
    kind = tqdm if sys.stderr.isatty() else _Lines
    bar: tqdm[Any] = kind(
        items, title, **{"mininterval": 1, **options, "disable": is_quiet() or options.get("disable", False)}
    )
    return bar


class _Lines(tqdm):  # type: ignore[type-arg]  # which is not generic at run time
    """Progress in a log: what takes less than `LINE_SECONDS` is not shown, nor is the end."""

    def __init__(self, items: Iterable[Any] | None, title: str, **options: Any) -> None:
        self._shown = time.monotonic()
        super().__init__(items, title, **{**options, "delay": LINE_SECONDS, "leave": False, "ascii": True})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line if it is time; an empty `msg` would clear a bar."""
        now = time.monotonic()
        if msg is None and now - self._shown >= LINE_SECONDS:
            self._shown = now
            self.fp.write(f"{self}\n")
            self.fp.flush()

    def clear(self, *_: Any, **__: Any) -> None:
        """There is no bar on the screen that something else could be written over."""
