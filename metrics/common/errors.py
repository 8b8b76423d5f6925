"""The error that the user can fix, and how a command line shows it."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

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


def first_line(error: BaseException) -> str:
    """Return an error of a library in one line, without its advice to load what could run code."""
    text = str(error)
    own = next((own for option, own in _INSTEAD_OF_ADVICE.items() if option in text), None)
    return own or next((line for line in text.splitlines() if line.strip()), type(error).__name__)


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
            print(without_secrets("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        print(f"error: {without_secrets(_message(error))}", file=sys.stderr)
        raise SystemExit(2) from error


def _message(error: UserError | OSError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
