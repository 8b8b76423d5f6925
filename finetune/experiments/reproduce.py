"""All runs of a grid, one after the other, and the published figures beside ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from finetune.experiments.grid_cells import GridCell
from finetune.experiments.grid_table import NAME, show_comparison, write_comparison
from finetune.experiments.pipeline import finished_report
from finetune.experiments.runner import Experiment, run_in_own_process
from finetune.experiments.scoring_models import check_scoring
from finetune.training.preflight import check_recipe


class Reproduction(Experiment[GridCell]):
    """A cell is finished once its report is complete; the table compares the reports with the published figures."""

    def __init__(self, cells: Sequence[GridCell], source: str, output: Path) -> None:
        super().__init__(cells, source, output / f"{NAME}.html")
        self._reports: dict[str, dict[str, Any]] = {}
        self._comparison: dict[str, Any] = {}

    def is_finished(self, cell: GridCell) -> bool:
        """Whether the cell's report is complete, which is kept for the table."""
        report = finished_report(cell.recipe)
        if report is not None:
            self._reports[cell.title] = report
        return report is not None

    def check(self, cell: GridCell) -> None:
        """Raise `UserError` if the cell cannot be trained or scored."""
        check_recipe(cell.recipe, max(torch.cuda.device_count(), 1))
        check_scoring(cell.recipe.scoring)

    def run_cell(self, cell: GridCell) -> None:
        """From the catalogue to the report."""
        run_in_own_process(cell)

    def write_table(self) -> None:
        """Write `reproduction.{json,md,html}`."""
        self._comparison = write_comparison(self.cells, self._reports, self.table.parent)

    def show_table(self) -> None:
        """Print the table of each data set, and what keeps its figures from being compared."""
        show_comparison(self._comparison)
