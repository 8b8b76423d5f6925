"""Where Lookbook keeps what it need not make twice."""

import os
from pathlib import Path


def cache_folder(*inside: str) -> Path:
    """Return `$LOOKBOOK_CACHE` (default `~/.cache/lookbook`), or a folder inside it; it need not exist yet."""
    return Path(os.environ.get("LOOKBOOK_CACHE") or "~/.cache/lookbook").expanduser().joinpath(*inside)
