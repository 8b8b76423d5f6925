"""A sweep: a recipe run with every combination of some values, one after the other."""

from collections.abc import Sequence
from typing import Any

import torch

from finetune.config.experiments import Sweep
from finetune.experiments.pipeline import finished_report, launch_training
from finetune.experiments.runner import Experiment, run_in_own_process
from finetune.experiments.scoring_models import check_scoring
from finetune.experiments.sweep_cells import SweepCell
from finetune.experiments.sweep_table import NAME, row_of, show, write_table
from finetune.runs.claim import is_finished as is_trained
from finetune.training.preflight import check_recipe
from metrics.common.errors import UserError


class SweepRuns(Experiment[SweepCell]):
    """A cell is finished once it is trained, and with `whole` scored; the table has the best first."""

    continues_after_errors = True

    def __init__(self, sweep: Sweep, cells: Sequence[SweepCell], source: str) -> None:
        super().__init__(cells, source, sweep.output / f"{NAME}.md")
        self._sweep = sweep
        self._content: dict[str, Any] = {}

    def is_finished(self, cell: SweepCell) -> bool:
        """Whether nothing of the cell is left to do. Raises `UserError` if its folder holds another recipe's run."""
        trained = is_trained(cell.recipe, resume=True)
        return trained and (not self._sweep.whole or finished_report(cell.recipe) is not None)

    def check(self, cell: SweepCell) -> None:
        """Raise `UserError` if the cell cannot be trained, or with `whole` scored."""
        if self._sweep.whole and len(cell.recipe.catalogues) > 1:
            raise UserError("data: mixes several catalogues, which have a report each; leave `whole` out")
        check_recipe(cell.recipe, max(torch.cuda.device_count(), 1))
        if self._sweep.whole:
            check_scoring(cell.recipe.scoring)

    def run_cell(self, cell: SweepCell) -> None:
        """Train the cell, or with `whole` run it to its report."""
        if self._sweep.whole:
            run_in_own_process(cell)
        else:
            launch_training(cell.recipe_path, cell.overrides)

    def write_table(self) -> None:
        """Write `sweep.{json,md}` with all cells, those too that are not run this time."""
        rows = [row_of(cell.values, cell.recipe, self.failed.get(cell.title)) for cell in self.cells]
        best = self.cells[0].recipe.evaluation.best
        self._content = write_table(str(self._sweep.recipe), best, rows, self._sweep.output)

    def show_table(self) -> None:
        """Print the table."""
        show(self._content)
