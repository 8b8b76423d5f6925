"""How long ago the viewer's indexes in the cache were used: their times of change say so. Old ones are removed."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

A_DAY = 24 * 60 * 60
_KEPT = 30 * A_DAY
_NAME = re.compile(r"[0-9a-f]{32}\.sqlite|\.[0-9a-f]{32}\.sqlite\.(\d+\.tmp|.+\.draft)")  # an index, or its draft


def mark_used(path: Path) -> None:
    """Note that an index is in use; a viewer that runs does so once a day. In a read-only cache nothing is noted."""
    with suppress(OSError):
        os.utime(path)


def remove_unused(folder: Path) -> None:
    """Remove the indexes in `folder` that were not used for 30 days, and no other file; what cannot be, stays."""
    oldest = time.time() - _KEPT
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # another process has just removed it, or the cache is read-only
            if _NAME.fullmatch(path.name) and path.stat().st_mtime < oldest:
                path.unlink()
