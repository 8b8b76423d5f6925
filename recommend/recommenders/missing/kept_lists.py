"""The lists of a study's fits on disk, so that it resumes after the last complete one; progress on the screen."""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from finetune.data.readers import read_arrays
from metrics.common.errors import UserError
from metrics.common.files import atomic_file, make_folder
from metrics.common.formatting import duration
from metrics.common.screen import say
from recommend.recommenders.missing.masking import Made


class KeptLists:
    """A `Keep` of the masking study: each fit in a file of its own, named by a hash of the fit's name.

    While it is made, what it has learned so far is in a folder of that name.
    """

    def __init__(self, folder: Path, fits: int) -> None:
        self._folder, self._fits, self._number = folder, fits, 0

    def __call__(self, name: str, make: Callable[[Path | None], Made]) -> Made:
        """Read the fit, or make and write it. Raises `UserError` if its file is damaged or cannot be written."""
        self._number += 1
        shown = f"  masking [{self._number}/{self._fits}] {name}"
        unfinished = self._folder / hashlib.sha256(name.encode()).hexdigest()[:16]
        path = unfinished.with_suffix(".npz")
        if path.exists():
            say(f"{shown}: finished already")
            return _read(path)
        say(shown)
        start = time.perf_counter()
        lists, by_mean = make(unfinished)
        make_folder(self._folder)
        with atomic_file(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, lists=lists, by_mean=by_mean)
        if unfinished.exists():
            shutil.rmtree(unfinished)
        say(f"{shown}: {duration(time.perf_counter() - start)}")
        return lists, by_mean


def _read(path: Path) -> Made:
    remedy = "remove this file, and the model is fitted again"
    arrays = read_arrays(path, remedy)
    lists, by_mean = (arrays.get(name, np.zeros(0)) for name in ("lists", "by_mean"))
    if lists.ndim != 2 or by_mean.ndim or not all(one.dtype.kind == "i" for one in (lists, by_mean)):
        raise UserError(f"{path}: expected lists of articles and a count, found others; {remedy}")
    return lists, int(by_mean)
