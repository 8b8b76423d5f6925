"""The error that is the user's to mend, and how a command line shows it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can put right: says what was expected, what was found, where, and what to do."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Wrap a command, as decorator or `with` block: an expected failure becomes one line on stderr.

    Raises:
        SystemExit: with code 2, after `error: ...` on stderr, for a `UserError` or an `OSError` (a full disk, a
            folder that cannot be read).
    """
    try:
        yield
    except UserError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)
