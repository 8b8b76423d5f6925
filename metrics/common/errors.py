"""The error that the user can fix, and how a command line shows it."""

import os
import re
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from metrics.common.formatting import printable
from metrics.common.secrets import without_secrets

_SHORTAGE = re.compile("memory|CUDA")
# What is said instead of the advice that libraries give, by the option that they advise to set.
NO_SAFETENSORS = "it has no weights in safetensors, and other formats are not loaded"
_INSTEAD_OF_ADVICE = {
    "weights_only": "it is damaged, or holds pickled objects other than tensors, which are never loaded",
    "trust_remote_code": "it comes with code of its own, which is never run; name a model that transformers has",
    "use_safetensors": NO_SAFETENSORS,
}


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


def reason_of(error: BaseException) -> str:
    """Return all lines of a library's error as one, at most 600 characters, without its advice as `first_line`."""
    text = str(error)
    return _instead_of_advice(text) or textwrap.shorten(text, 600, placeholder=" ...") or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error, without its advice to load what could run code."""
    text = str(error)
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return _instead_of_advice(text) or first


def _instead_of_advice(text: str) -> str | None:
    return next((own for option, own in _INSTEAD_OF_ADVICE.items() if option in text), None)


@contextmanager
def user_errors() -> Iterator[None]:
    """Wrap a command, as decorator or `with` block: an expected failure becomes one line on stderr, without secrets.

    With `LOOKBOOK_DEBUG=1` the traceback, with all causes, comes before that line.

    Raises:
        SystemExit: with code 2, after `error: ...` on stderr, for a `UserError` or an `OSError` (a full disk, a
            folder that cannot be read).
    """
    try:
        yield
    except (UserError, OSError) as error:
        if os.environ.get("LOOKBOOK_DEBUG", "0") not in ("", "0"):
            print(printable(without_secrets("".join(traceback.format_exception(error)))), end="", file=sys.stderr)
        print(f"error: {printable(without_secrets(_message(error)))}", file=sys.stderr)
        raise SystemExit(2) from error


def _message(error: UserError | OSError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
