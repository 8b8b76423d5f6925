"""All rows of a recipe, one after the other; interrupted and started again, it continues with what is unfinished."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from metrics.common.errors import UserError
from metrics.common.files import make_folder
from metrics.common.formatting import duration
from recommend.experiments.content import Content, content_of
from recommend.experiments.data import OpenDataset, open_dataset
from recommend.experiments.masking import masking_place, study
from recommend.experiments.output import check_output, show, write_output
from recommend.experiments.recipe import Masking, Recipe
from recommend.experiments.rows import Row, finish, plan


def run(recipe: Recipe, source: str) -> None:
    """Fit and measure every row that is not finished, and write the table after each.

    Raises `UserError` before anything is fitted if purchases or features are missing, and if another process is at it.
    """
    check_output(recipe.output)
    rows = plan(recipe, source)
    make_folder(recipe.output)
    with only_here(recipe.output):
        _finish_all(recipe, rows)
        if recipe.masking:
            _finish_masking(recipe, recipe.masking)
        content = _written(recipe, rows)
    show(content)
    print(recipe.output / "recommend.html")


def _finish_all(recipe: Recipe, rows: Sequence[Row]) -> None:
    opened: OpenDataset | None = None
    for number, row in enumerate(rows, 1):
        name = f"[{number}/{len(rows)}] {row.title}"
        if row.place.is_finished():
            print(f"{name}: finished already", flush=True)
            continue
        if opened is None or opened.section != row.dataset:
            opened = None  # so that the purchases of one data set alone are in memory
            opened = open_dataset(row.dataset)
        start = time.perf_counter()
        finish(row, opened, recipe)
        _written(recipe, rows)
        print(f"{name}: {duration(time.perf_counter() - start)}", flush=True)


def _finish_masking(recipe: Recipe, masking: Masking) -> None:
    place = masking_place(recipe, masking)
    if place.is_finished():
        print("masking: finished already", flush=True)
        return
    start = time.perf_counter()
    place.write(study(recipe, masking, open_dataset(recipe.dataset(masking.dataset))), {}, recipe.ks)
    print(f"masking: {duration(time.perf_counter() - start)}", flush=True)


def _written(recipe: Recipe, rows: Sequence[Row]) -> Content:
    study_place = masking_place(recipe, recipe.masking) if recipe.masking else None
    finished = {(row.dataset.name, row.model.title): row.place for row in rows if row.place.is_finished()}
    content = content_of(recipe, finished, study_place)
    write_output(content, recipe.output)
    return content


@contextmanager
def only_here(output: Path) -> Iterator[None]:
    """Lock the output for the block. Raises `UserError` if another process has locked it."""
    lock = FileLock(output / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{output}: another process is at it; wait for it, or give another output=...") from error
    try:
        yield
    finally:
        lock.release()
