"""Experiments of several runs: all errors at once before any, only what is unfinished is run, a table after each."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

from finetune.experiments.cells import Cell, CellErrors
from finetune.runs.processes import call
from metrics.common.errors import UserError
from metrics.common.formatting import duration, printable
from metrics.common.ownership import Contents, claim_folder
from metrics.common.processes import child_environment, python_module
from metrics.common.screen import say

AnyCell = TypeVar("AnyCell", bound=Cell)


class Experiment(ABC, Generic[AnyCell]):
    """Cells in order and their table, `table`. Interrupted and started again, it continues with what is unfinished.

    `source` names the experiment's file in messages. An experiment that `continues_after_errors` runs the other cells
    if one fails; `failed` has the messages of those by title.
    """

    continues_after_errors = False

    def __init__(self, cells: Sequence[AnyCell], source: str, table: Path) -> None:
        self.cells = cells
        self.source = source
        self.table = table
        self.failed: dict[str, str] = {}

    @abstractmethod
    def is_finished(self, cell: AnyCell) -> bool:
        """Whether nothing of the cell is left to do. Raises `UserError` if its folder holds another recipe's run."""

    @abstractmethod
    def check(self, cell: AnyCell) -> None:
        """Raise `UserError` if an unfinished cell cannot run."""

    @abstractmethod
    def run_cell(self, cell: AnyCell) -> None:
        """Do what is left to do of the cell. Raises `UserError` if that fails."""

    @abstractmethod
    def write_table(self) -> None:
        """Write the table of what is known of the cells so far."""

    @abstractmethod
    def show_table(self) -> None:
        """Print the table."""

    def run(self, cells: Sequence[AnyCell] | None = None) -> Path:
        """Run what is unfinished of the cells (of all of them by default), one after the other, and return the table.

        Raises `UserError` with the errors of all cells before any runs, if the folder of the table is not ours, and if
        a cell fails.
        """
        chosen = self.cells if cells is None else cells
        self._check_all(chosen)
        claim_folder(self.table.parent, self._contents(), "choose another output")
        self.write_table()
        for number, cell in enumerate(chosen, 1):
            self._finish(cell, f"[{number}/{len(chosen)}] {cell.title}")
            self.write_table()
        self.show_table()
        print(f"table: {self.table}")
        if self.failed:
            first, message = next(iter(self.failed.items()))
            raise UserError(f"{len(self.failed)} cell(s) failed, the first is {first}: {message}")
        return self.table

    def _contents(self) -> Contents:
        """The tables, and the folders of cells beside them."""
        folder, name = self.table.parent, self.table.stem
        outputs = [cell.recipe.output for cell in self.cells if folder in cell.recipe.output.parents]
        inside = dict.fromkeys((output.relative_to(folder).parts[0] for output in outputs), "")
        tables = {f"{name}.json": '"lookbook": ', f"{name}.md": "Lookbook", f"{name}.html": "Lookbook"}
        return Contents(tables | inside, record=f"{name}.json")

    def _check_all(self, cells: Sequence[AnyCell]) -> None:
        errors = CellErrors(self.source)
        for cell in cells:
            with errors.collect(cell.title):
                if not self.is_finished(cell):
                    self.check(cell)
        errors.refuse()

    def _finish(self, cell: AnyCell, name: str) -> None:
        if self.is_finished(cell):
            say(f"{name}: finished already")
            return
        say(f"{name}: {cell.recipe_path} into {cell.recipe.output}")
        started = time.perf_counter()
        try:
            self.run_cell(cell)
            if not self.is_finished(cell):
                raise UserError(f"{cell.recipe.output} was changed while it ran; start again")
        except UserError as error:
            if not self.continues_after_errors:
                raise UserError(f"{name}: {error}") from error
            self.failed[cell.title] = str(error)
            print(printable(f"{name}: {error}"), flush=True)
        else:
            say(f"{name}: {duration(time.perf_counter() - started)}")


def run_in_own_process(cell: Cell) -> None:
    """`lookbook run` in a process of its own, which gives all memory back. Raises `UserError` if it fails."""
    code = call(python_module("finetune", "run", str(cell.recipe_path), *cell.overrides), child_environment())
    if code:
        raise UserError(f"ended with code {code}; its message is above. Start again to continue there")
