"""Tells a damaged file from a machine that cannot read a healthy one.

The first may be left out or made again, the second never.
"""

import errno
from pathlib import Path

from metrics.common.errors import UserError

# What reading a file that is truncated, missing or of another kind raises; readers that find damage set no number.
_DAMAGE = {None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG}


def is_damage(error: OSError) -> bool:
    """Whether the file is damaged or missing, rather than memory, open files, permissions or the disk."""
    return error.errno in _DAMAGE


def unreadable(path: Path | str, error: OSError) -> UserError:
    """The error for a file that could not be read although it may be whole."""
    cures = {
        errno.EMFILE: "; raise the limit of open files (ulimit -n)",
        errno.ENFILE: "; close other programs, all open files of the machine are in use",
        errno.ENOMEM: "; free memory and start again",
        errno.EACCES: "; make it readable",
    }
    cure = cures.get(error.errno or 0, "")
    return UserError(f"{path}: cannot be read: {error.strerror or error}{cure}")
