"""A demo catalogue's folder: there as a whole or not at all, and marked with what made it."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, read_json_object

MARK = "demo.json"
Mark = Mapping[str, object]


def write_whole(
    folder: Path, mark: Mark, write: Callable[[Path], None], earlier: Collection[Mark] = (), key: str = "data.folder"
) -> None:
    """Have `write` fill `folder`, which appears whole or not at all, unless it bears this `mark` already.

    A folder with one of the `earlier` marks is kept as it is. Raises `UserError`, with the recipe's `key` of the
    folder, if it holds anything else or cannot be written.
    """
    if _holds(folder, mark, earlier, key):
        return
    with atomic_folder(folder) as draft:
        write(draft)
        (draft / MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")


def _holds(folder: Path, mark: Mark, earlier: Collection[Mark], key: str) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    path = folder / MARK
    existing = read_json_object(path, f"name another {key}, or remove this one") if path.is_file() else None
    if existing is None:
        raise UserError(f"{folder}: contains files that are no demo catalogue; name another {key}")
    if existing != mark and existing not in earlier:
        changed = [name for name in {**mark, **existing} if existing.get(name) != mark.get(name)]
        raise UserError(
            f"{folder}: contains a demo catalogue of {_listed(existing, changed)}, "
            f"and not of {_listed(mark, changed)}; name another {key}, or remove this one"
        )
    return True


def _listed(mark: Mark, keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {mark.get(key, '(none)')}" for key in keys)


def require_numbers(articles: int, fewest: int, most: int, seed: int, name: str = "demo catalogue: articles") -> None:
    """Raise `UserError` if a demo catalogue cannot have that number of articles, or such a seed."""
    if not fewest <= articles <= most:
        raise UserError(f"{name} must be {fewest} to {most}, found {articles}")
    if seed < 0:
        raise UserError(f"demo catalogue: seed must be 0 or more, found {seed}")
