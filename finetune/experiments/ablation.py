"""What each correction to the published recipe is worth: the published one, ours, and each correction alone."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from pydantic import Field

from finetune.captioning.captioning import Selection, caption_catalogue, is_untouched
from finetune.config.errors import parse
from finetune.config.overrides import read_yaml
from finetune.config.recipe import Output
from finetune.config.section import Section
from finetune.data.mixture import prepare_one
from finetune.experiments.ablation_table import NAME, show, write_table
from finetune.experiments.pipeline import launch_training
from finetune.experiments.runner import Cell, CellErrors, Experiment
from finetune.runs.captioning_system import load_system
from finetune.runs.claim import is_finished, load_begun
from finetune.runs.training_record import read_training
from finetune.training.preflight import check_recipe
from metrics.measures.cider import Cider
from metrics.records.captions import read_records
from metrics.records.run import TrainingRecord, read_run
from metrics.scoring.suite import score_captions

SPLIT = "test"
PUBLISHED, OURS = "published recipe", "ours"


class Subject(Section):
    """A model, the recipe with our corrections, and for each correction what takes it back to the published code."""

    name: str
    recipe: Path
    set: tuple[str, ...] = ()
    published: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]


class Ablation(Section):
    """Subjects in order; `set` changes every run."""

    output: Output
    set: tuple[str, ...] = ()
    models: Annotated[tuple[Subject, ...], Field(min_length=1)]


@dataclass(frozen=True)
class AblationCell(Cell):
    """One run: its model, and which corrections it has (`published + padding`)."""

    model: str
    variant: str

    @property
    def captions(self) -> Path:
        """The captions of the test split by its model."""
        return self.recipe.output / "captions" / "captions.jsonl"


def bench_recipe(path: Path) -> Path:
    """Train, caption and score what is not finished yet of the ablation at `path`, one run after the other.

    The table is written again after each run; returns its page. Raises `UserError` with the errors of all runs before
    anything is trained, and if a run fails; started again, it continues there.
    """
    ablation = parse(Ablation, read_yaml(path, "ablation"), str(path))
    return AblationRuns(plan(ablation, str(path)), str(path), ablation.output).run()


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


def plan(ablation: Ablation, source: str) -> list[AblationCell]:
    """The runs of each model: published, published with each correction, ours without each, ours.

    Raises `UserError` with the errors of all of them.
    """
    errors = CellErrors(source)
    cells: list[AblationCell] = []
    for subject in ablation.models:
        for variant, lacking in _variants(subject):
            title = f"{subject.name}, {variant}"
            output = ablation.output / _file_name(subject.name) / _file_name(variant)
            undone = [override for name in lacking for override in subject.published[name]]
            overrides = (*ablation.set, *subject.set, *undone, f"output={output}")
            with errors.collect(title):
                recipe = load_begun(subject.recipe, overrides)
                cells.append(AblationCell(title, subject.recipe, overrides, recipe, subject.name, variant))
    errors.refuse()
    return cells


def _variants(subject: Subject) -> Iterator[tuple[str, list[str]]]:
    """Titles, and the corrections that each lacks; a single one is the difference between published and ours."""
    names = list(subject.published)
    yield PUBLISHED, names
    if len(names) == 1:
        names = []
    for name in names:
        yield f"published + {name}", [other for other in names if other != name]
    for name in names:
        yield f"ours - {name}", [name]
    yield OURS, []


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", title.lower().replace("+", "with").replace(" - ", " without ")).strip("-")


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
