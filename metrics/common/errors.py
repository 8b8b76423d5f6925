"""The error that the user can fix, and how a command line shows it."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

_SHORTAGE = re.compile("memory|CUDA")


class UserError(Exception):
    """Something the user can fix: the message says what was expected, what was found, where, and what to do."""


def is_shortage(error: Exception) -> bool:
    """Whether torch raised `error` because memory or the GPU failed, rather than because of what it was given.

    Both are plain `RuntimeError`s; only their text differs.
    """
    return isinstance(error, RuntimeError) and _SHORTAGE.search(str(error)) is not None


def is_overflow(error: Exception) -> bool:
    """Whether torch raised `error`, a plain `RuntimeError` too, because a step is larger than a float can be."""
    return isinstance(error, RuntimeError) and "without overflow" in str(error)


@contextmanager
def user_errors() -> Iterator[None]:
    """Wrap a command, as decorator or `with` block: an expected failure becomes one line on stderr.

    With `LOOKBOOK_DEBUG=1` the traceback, with all causes, comes before that line.

    Raises:
        SystemExit: with code 2, after `error: ...` on stderr, for a `UserError` or an `OSError` (a full disk, a
            folder that cannot be read).
    """
    try:
        yield
    except (UserError, OSError) as error:
        if os.environ.get("LOOKBOOK_DEBUG", "0") not in ("", "0"):
            traceback.print_exception(error)
        print(f"error: {_message(error)}", file=sys.stderr)
        raise SystemExit(2) from error


def _message(error: UserError | OSError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
