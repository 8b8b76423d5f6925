"""Drafts: hidden files and folders whose names tell which process writes them, so that a dead one's can be removed."""

import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from metrics.common.processes import identity, process_of

_NAME = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-(\d+\.\d\d)-\d+\.draft", re.DOTALL)
_NUMBERS = count(1)


def draft_path(path: Path) -> Path:
    """A new hidden place beside `path`, named by this machine, this process and when it was started.

    What processes that had ended left beside it is removed, the first time that this process writes there.
    """
    _remove_dead_once(path.parent)
    owner = identity().replace(" ", "-")
    return path.with_name(f".{path.name}.{_machine()}-{owner}-{next(_NUMBERS)}.draft")


@contextmanager
def draft_folder(path: Path) -> Iterator[Path]:
    """Yield an empty draft of the folder `path`, which is removed at the end unless it was given another name."""
    draft = draft_path(path)
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder among the system's temporary files, for this user alone, which is removed at the end."""
    with draft_folder(Path(tempfile.gettempdir(), "lookbook")) as folder:
        folder.chmod(0o700)
        yield folder


def is_draft(name: str) -> bool:
    """Whether this is the name of a draft, of whatever process."""
    return _NAME.fullmatch(name) is not None


def remove_dead(folder: Path) -> None:
    """Remove the drafts in `folder` that processes of this machine left when they were killed, and nothing else.

    What cannot be removed stays. Drafts of other machines, and of other containers on this one, are not touched.
    """
    with suppress(OSError):
        for name in [entry.name for entry in os.scandir(folder) if entry.name.endswith(".draft")]:
            found = _NAME.fullmatch(name)
            if found and found[1] == _machine() and process_of(f"{found[2]} {found[3]}") is None:
                _remove(folder / name)


_remove_dead_once = cache(remove_dead)  # a folder of many files is not searched for each of them


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@cache
def _machine() -> str:
    """A short hash of the machine and of the namespace in which the ids of its processes mean something."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]
