"""The folder for results that need not be computed twice."""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_folder(*inside: str) -> Path:
    """Return the absolute path of Lookbook's cache folder or of a folder in it, made or not.

    The cache folder is `$LOOKBOOK_CACHE`, by default the system's for caches (`~/.cache/lookbook` on Linux).
    """
    folder = os.environ.get("LOOKBOOK_CACHE") or user_cache_dir("lookbook", appauthor=False)
    return Path(folder).expanduser().absolute().joinpath(*inside)
