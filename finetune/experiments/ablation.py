"""What each correction to the published recipe is worth: the published one, ours, and each correction alone."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Any

from finetune.captioning.captioning import Selection, caption_catalogue, is_untouched
from finetune.data.mixture import prepare_one
from finetune.experiments.ablation_cells import AblationCell
from finetune.experiments.ablation_table import NAME, show, write_table
from finetune.experiments.pipeline import launch_training
from finetune.experiments.runner import Experiment
from finetune.runs.captioning_system import load_system
from finetune.runs.claim import is_finished
from finetune.runs.training_record import read_training
from finetune.training.preflight import check_recipe
from metrics.measures.cider import Cider
from metrics.records.captions import read_records
from metrics.records.run import TrainingRecord, read_run
from metrics.scoring.suite import score_captions

SPLIT = "test"


class AblationRuns(Experiment[AblationCell]):
    """A cell is finished once it is trained and its captions are written; it is scored whenever a table is made."""

    def __init__(self, cells: Sequence[AblationCell], source: str, output: Path) -> None:
        super().__init__(cells, source, output / f"{NAME}.md")
        self._rows: dict[str, dict[str, Any]] = {}

    def is_finished(self, cell: AblationCell) -> bool:
        """Whether the run is trained and captioned. Raises `UserError` if its folder holds another recipe's run."""
        return is_finished(cell.recipe, resume=True) and _is_captioned(cell)

    def check(self, cell: AblationCell) -> None:
        """Raise `UserError` if the run cannot be trained."""
        check_recipe(cell.recipe)

    def run_cell(self, cell: AblationCell) -> None:
        """Train the run and caption the test split."""
        if not is_finished(cell.recipe, resume=True):
            launch_training(cell.recipe_path, cell.overrides)
        system = load_system(str(cell.recipe.output), None, cell.recipe)
        caption_catalogue(
            system, prepare_one(cell.recipe.catalogues, cell.recipe.training.seed), Selection(SPLIT), cell.captions
        )

    def write_table(self) -> None:
        """Write `ablation.{json,md}` with the runs up to the first that is unfinished."""
        for cell in takewhile(self.is_finished, self.cells):
            if cell.title not in self._rows:
                self._rows[cell.title] = _row(cell)
        if self._rows:
            write_table(list(self._rows.values()), self.table.parent)

    def show_table(self) -> None:
        """Print a table for each model."""
        show(list(self._rows.values()))


def _is_captioned(cell: AblationCell) -> bool:
    run = read_run(cell.captions) if is_untouched(cell.captions) else None
    return run is not None and run.decoding == cell.recipe.decoding.model_dump()


def _row(cell: AblationCell) -> dict[str, Any]:
    """A row of the table, of a finished run."""
    training = read_training(cell.recipe.output) or TrainingRecord()
    return {"model": cell.model, "title": cell.variant, **_trained(training), **_captioned(cell.captions)}


def _trained(training: TrainingRecord) -> dict[str, Any]:
    return {
        "validation_loss": training.best_validation_loss,
        "steps": max(entry["step"] for entry in training.loss_history),
        "step_s": training.times.get("step_s"),  # none if it was killed after its last step
        "hardware": dict(training.hardware) | {"threads": training.threads},
        "versions": training.versions,
        "git": training.git,
    }


def _captioned(captions: Path) -> dict[str, Any]:
    """CIDEr, how long captions are, and how many of them end on their own."""
    records = read_records(captions)
    score = score_captions(records, measures=[Cider()]).results[0].scores["all"]["CIDEr"]
    return {
        "CIDEr": score.value,
        "interval": list(score.interval),
        "signature": score.signature,
        "words": fmean(len((record.caption or "").split()) for record in records),
        "finished": fmean(bool(record.finished) for record in records),
        "captions": len(records),
    }
