"""A demo catalogue's folder: there as a whole or not at all, and marked with what made it."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from metrics.common.errors import UserError

MARK = "demo.json"
Mark = Mapping[str, object]


def write_whole(folder: Path, mark: Mark, write: Callable[[Path], None]) -> None:
    """Have `write` fill `folder`, which appears whole or not at all, unless it bears this `mark` already.

    Raises `UserError` where the folder holds anything else or cannot be written.
    """
    if _holds(folder, mark):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(draft)
        (draft / MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _holds(folder: Path, mark: Mark) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    path = folder / MARK
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != mark:
        holds = f"another demo catalogue ({found})" if found else "something else"
        raise UserError(
            f"{folder}: expected no folder, or the demo catalogue {mark}; found {holds}; name another folder"
        )
    return True


def require_numbers(articles: int, fewest: int, most: int, seed: int) -> None:
    """Raise `UserError` where a demo catalogue cannot have so many articles, or such a seed."""
    if not fewest <= articles <= most:
        raise UserError(f"demo catalogue: articles must be {fewest} to {most}, found {articles}")
    if seed < 0:
        raise UserError(f"demo catalogue: seed must be 0 or more, found {seed}")
