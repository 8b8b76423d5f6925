"""A demo catalogue's folder: there as a whole or not at all, and marked with what made it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, read_json_object

MARK = "demo.json"
Mark = Mapping[str, object]


def write_whole(folder: Path, mark: Mark, write: Callable[[Path], None]) -> None:
    """Have `write` fill `folder`, which appears whole or not at all, unless it bears this `mark` already.

    Raises `UserError` if the folder holds anything else or cannot be written.
    """
    if _holds(folder, mark):
        return
    with atomic_folder(folder) as draft:
        write(draft)
        (draft / MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")


def _holds(folder: Path, mark: Mark) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    path = folder / MARK
    existing = read_json_object(path, "name another folder") if path.is_file() else None
    if existing != mark:
        holds = f"another demo catalogue ({existing})" if existing else "something else"
        raise UserError(
            f"{folder}: expected no folder, or the demo catalogue {mark}; found {holds}; name another folder"
        )
    return True


def require_numbers(articles: int, fewest: int, most: int, seed: int) -> None:
    """Raise `UserError` if a demo catalogue cannot have that number of articles, or such a seed."""
    if not fewest <= articles <= most:
        raise UserError(f"demo catalogue: articles must be {fewest} to {most}, found {articles}")
    if seed < 0:
        raise UserError(f"demo catalogue: seed must be 0 or more, found {seed}")
