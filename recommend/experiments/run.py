"""All rows of a recipe, one after the other; interrupted and started again, it continues with what is unfinished."""

import time
from contextlib import AbstractContextManager
from pathlib import Path

from metrics.common.formatting import duration
from metrics.common.locks import refusing_others
from metrics.common.ownership import claim_folder
from metrics.common.screen import say
from recommend.experiments.comparisons import Comparisons
from recommend.experiments.content import Content, content_of
from recommend.experiments.data import OpenDataset, open_dataset
from recommend.experiments.masking import masking_place, study
from recommend.experiments.output import CONTENTS, OTHER, check_output, show, write_output
from recommend.experiments.recipe import Dataset, Recipe
from recommend.experiments.rows import finish, plan


def run(recipe: Recipe, source: str) -> None:
    """Make every row that is not finished, and write the table after each.

    Raises `UserError` before anything is fitted if purchases or features are missing, and if another process is at it.
    """
    check_output(recipe.output)
    rows = _Rows(recipe, source)
    claim_folder(recipe.output, CONTENTS, OTHER)
    with only_here(recipe.output):
        rows.finish()
        rows.finish_masking()
        content = rows.write_table()
    show(content)
    print(recipe.output / "recommend.html")


class _Rows:
    """The rows of a recipe, and the one data set that is in memory."""

    def __init__(self, recipe: Recipe, source: str) -> None:
        self._recipe = recipe
        self._rows = plan(recipe, source)
        self._masking = masking_place(recipe, recipe.masking) if recipe.masking else None
        self._comparisons = Comparisons(recipe.ks)
        self._opened: OpenDataset | None = None

    def finish(self) -> None:
        """Make what is not finished."""
        for number, row in enumerate(self._rows, 1):
            name = f"[{number}/{len(self._rows)}] {row.title}"
            if row.place.is_finished():
                row.place.remove_unfinished()  # it may have been killed before that
                say(f"{name}: finished already")
                continue
            say(name)
            data, start = self._open(row.dataset), time.perf_counter()
            finish(row, data, self._recipe)
            self.write_table()
            say(f"{name}: {duration(time.perf_counter() - start)}")

    def finish_masking(self) -> None:
        """Make the study of missing features, if there is one and it is not finished."""
        masking, place = self._recipe.masking, self._masking
        if masking is None or place is None:
            return
        if place.is_finished():
            place.remove_unfinished()
            return
        data, start = self._open(self._recipe.dataset(masking.dataset)), time.perf_counter()
        place.write(study(self._recipe, masking, data, place.unfinished), {}, self._recipe.ks)
        say(f"masking: {duration(time.perf_counter() - start)}")

    def write_table(self) -> Content:
        """Write the table of what is finished."""
        finished = {(row.dataset.name, row.model.title): row.place for row in self._rows if row.place.is_finished()}
        masking = self._masking if self._masking and self._masking.is_finished() else None
        content = content_of(self._recipe, finished, self._comparisons, masking)
        write_output(content, self._recipe.output)
        return content

    def _open(self, dataset: Dataset) -> OpenDataset:
        if self._opened is None or self._opened.section != dataset:
            self._opened = None  # so that the purchases of one data set alone are in memory
            self._opened = open_dataset(dataset, self._recipe.k)
        return self._opened


def only_here(output: Path) -> AbstractContextManager[None]:
    """Lock the output for a block. Raises `UserError`, which names it, if another process has locked it."""
    what, remedy = f"{output}: another process is at it", "wait for it, or give another output=..."
    return refusing_others(output / ".lock", what, remedy)
