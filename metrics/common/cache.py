"""Where Lookbook keeps what it need not make twice."""

import os
from pathlib import Path


def cache_folder(*inside: str) -> Path:
    """Return the absolute path of `$LOOKBOOK_CACHE` (default `~/.cache/lookbook`) or a folder in it, made or not."""
    return Path(os.environ.get("LOOKBOOK_CACHE") or "~/.cache/lookbook").expanduser().absolute().joinpath(*inside)
