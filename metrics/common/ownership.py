"""What a command may write to: a folder that is empty or ours, a file that we wrote and that it does not read."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Annotated

import typer

from metrics.common.drafts import is_draft
from metrics.common.errors import UserError
from metrics.common.files import check_folder, make_folder, read_json_object, write_text
from metrics.common.version import installed_version

MARK = ".lookbook.json"
_ENDS = 1 << 20  # bytes at the beginning and at the end of a file that hold what it is recognised by
_SHOWN = 5
# Of file managers, version control and shells, and recipes that lie beside their output: none is called as ours are.
_HARMLESS = (".DS_Store", ".gitkeep", "Thumbs.db", "desktop.ini", "*.log", "log.txt", "*.yaml", "*.yml")
Mark = str | tuple[str, ...]
"""What each file of ours of one kind holds in its first or last MiB: a text, or several, all of them."""

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is there, though Lookbook did not write it, or reads it.")
]


@dataclass(frozen=True)
class Contents:
    """What a command writes into its folder.

    Attributes:
        names: patterns of the names (`fnmatch`), each with the mark of every such file of ours; empty for folders, and
            for files that have none.
        record: the file among them whose presence tells that a folder without a mark is ours, as earlier versions
            made them.
        beside: patterns of what may be there before: what other commands write there, and what is read.
    """

    names: Mapping[str, Mark]
    record: str = ""
    beside: Sequence[str] = ()

    def mark_of(self, name: str) -> Mark | None:
        """The mark of every file of ours with this name; None if no file of ours is called so."""
        return next((mark for pattern, mark in self.names.items() if fnmatchcase(name, pattern)), None)


def with_inputs(contents: Contents, folder: Path, inputs: Iterable[Path | None]) -> Contents:
    """The contents of `folder`, with those of the inputs that lie in it `beside` them."""
    names = (path.name for path in inputs if path is not None and path.parent.resolve() == folder.resolve())
    return replace(contents, beside=(*contents.beside, *map(escape, names)))


def claim_folder(folder: Path, contents: Contents, remedy: str = "give another --out") -> None:
    """Make `folder`, if it is missing, and mark it as ours, so that `refuse_foreign` lets us write there again.

    Raises `UserError` as `refuse_foreign`, or when it cannot be made.
    """
    refuse_foreign(folder, contents, remedy)
    make_folder(folder)
    marked = _marked(folder)
    if not marked.issuperset(contents.names):
        values = {"lookbook": installed_version(), "files": sorted(marked.union(contents.names))}
        write_text(folder / MARK, json.dumps(values, indent=1) + "\n")


def refuse_foreign(folder: Path, contents: Contents, remedy: str = "give another --out") -> None:
    """Raise `UserError` if `contents` could not be written to `folder`, which need not exist, or it is not ours.

    It must hold nothing in the place of ours that is not ours. What is called otherwise may be there if the folder
    bears our mark for such contents or has their record, as earlier versions wrote it; in any other only what is marked
    in it, marked folders, what may be `beside`, and logs, recipes and hidden files of the system. The message ends with
    `remedy`.
    """
    check_folder(folder, remedy)
    if not folder.is_dir():
        return
    foreign = _foreign(folder, contents)
    if foreign:
        more = f" and {len(foreign) - _SHOWN:,} more" if len(foreign) > _SHOWN else ""
        listed = ", ".join(foreign[:_SHOWN]) + more
        raise UserError(f"{folder}: holds what Lookbook did not write there: {listed}; {remedy}, or move it away")


def _foreign(folder: Path, contents: Contents) -> list[str]:
    """The names of what keeps a folder from being ours."""
    marked = _marked(folder)
    record = folder / contents.record  # the folder itself if there is none
    recorded = record.is_file() and _has(record, contents.names[contents.record])
    is_known = recorded or (bool(contents.names) and marked.issuperset(contents.names))
    beside = (*contents.beside, *marked, *(_HARMLESS if contents.names else ()), *((MARK,) if marked else ()))
    found = []
    for path in sorted(folder.iterdir()):
        mark = contents.mark_of(path.name)
        if mark is None:
            if not is_known and not is_draft(path.name) and not _matches(path.name, beside) and not _marked(path):
                found.append(path.name)
        elif mark and not is_ours(path, mark):
            found.append(path.name)
    return found


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _marked(folder: Path) -> frozenset[str]:
    """The patterns of what we have claimed in a folder; empty for one without our mark, and for a file."""
    if not (folder / MARK).is_file():
        return frozenset()
    try:
        files = read_json_object(folder / MARK, "").get("files")
    except UserError:  # somebody else's
        return frozenset()
    return frozenset(map(str, files)) if isinstance(files, list) else frozenset()


def is_ours(path: Path, mark: Mark) -> bool:
    """Whether `path` is a file with this mark, or empty. Raises `UserError` if it cannot be read."""
    return path.is_file() and (not path.stat().st_size or _has(path, mark))


def _has(path: Path, mark: Mark) -> bool:
    texts = [text.encode() for text in ((mark,) if isinstance(mark, str) else mark)]
    try:
        with path.open("rb") as file:
            head = file.read(_ENDS)
            file.seek(max(0, path.stat().st_size - _ENDS))
            tail = file.read(_ENDS)
            return all(text in head or text in tail for text in texts)
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; give another place, or move it away"
        ) from error


def refuse_other(path: Path, mark: Mark, what: str, option: str = "--out", overwrite: bool | None = None) -> None:
    """Raise `UserError` if there is something at `path` that is not a file with the mark of each `what` of ours.

    Not if the command is told to `overwrite` it; None: it has no such option.
    """
    if not overwrite and (path.exists() or path.is_symlink()) and not is_ours(path, mark):
        remedy = "move it away" if overwrite is None else "move it away, or replace it with --overwrite"
        raise UserError(f"{path}: exists and is no {what}; give another {option}, or {remedy}")


def check_page(path: Path, mark: Mark, what: str, option: str = "--out", overwrite: bool | None = None) -> None:
    """As `refuse_other`; raises `UserError` also if the file's folder is missing or cannot be written to."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: expected {path.parent} to be a folder that can be written to; give another {option}")
    refuse_other(path, mark, what, option, overwrite)


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path | None], option: str = "--out") -> None:
    """Raise `UserError` if one of the outputs is one of the inputs, by whatever path or link."""
    read = [path for path in inputs if path is not None and path.exists()]
    for output in outputs:
        for path in read if output.exists() else ():
            if output.samefile(path):
                raise UserError(f"{output}: would replace {path}, which is read; give another {option}")
