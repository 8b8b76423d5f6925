"""A sweep: a recipe run with every combination of some values, one after the other."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import yaml
from pydantic import AfterValidator, Field

from finetune.config.errors import parse
from finetune.config.overrides import read_yaml
from finetune.config.recipe import Output
from finetune.config.section import Section
from finetune.experiments.pipeline import finished_report, launch_training
from finetune.experiments.runner import Cell, CellErrors, Experiment, run_in_own_process
from finetune.experiments.scoring_models import check_scoring
from finetune.experiments.sweep_table import NAME, row_of, show, write_table
from finetune.runs.claim import is_finished as is_trained
from finetune.runs.claim import load_begun
from finetune.training.preflight import check_recipe
from metrics.common.errors import UserError


def _not_output(vary: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    if "output" in vary:
        raise ValueError("output: each cell has a folder of its own in the sweep's output; leave it out")
    return vary


class Sweep(Section):
    """Every combination of the values in `vary`, each a run of `recipe`; `set` changes all of them.

    With `whole`, cells are run to their report of the test split, not only trained.
    """

    recipe: Path
    output: Output
    whole: bool = False
    set: tuple[str, ...] = ()
    vary: Annotated[
        dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(min_length=1), AfterValidator(_not_output)
    ]


@dataclass(frozen=True)
class SweepCell(Cell):
    """One combination of values, by key."""

    values: Mapping[str, Any]


def run_sweep(path: Path, chosen: Sequence[str] = ()) -> Path:
    """Run the cells of the sweep at `path` that are not finished (with KEY=VALUE `chosen`, only those with that value).

    Returns the table, which is written again after each cell. Raises `UserError` with the errors of all cells before
    any runs, and at the end if some have failed; the others are run all the same. Started again, it continues.
    """
    sweep = load_sweep(path)
    cells = plan(sweep, str(path))
    return SweepRuns(sweep, cells, str(path)).run(select(cells, sweep, chosen))


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


def load_sweep(path: Path) -> Sweep:
    """Read a sweep. Raises `UserError` with every error of the file at once."""
    return parse(Sweep, read_yaml(path, "sweep"), str(path))


def plan(sweep: Sweep, source: str) -> list[SweepCell]:
    """All cells in order, the last key's values changing fastest. Raises `UserError` with every error at once."""
    errors = CellErrors(source)
    cells: list[SweepCell] = []
    for combination in product(*sweep.vary.values()):
        values = dict(zip(sweep.vary, combination, strict=True))
        title = " ".join(f"{key}={value}" for key, value in values.items())
        folder = sweep.output / "_".join(f"{key.rpartition('.')[2]}-{_slug(value)}" for key, value in values.items())
        changes = [f"{key}={json.dumps(value)}" for key, value in values.items()]
        overrides = [*sweep.set, *changes, f"output={json.dumps(str(folder))}"]
        with errors.collect(title):
            cells.append(SweepCell(title, sweep.recipe, overrides, load_begun(sweep.recipe, overrides), values))
    for place, cell in enumerate(cells):
        with errors.collect(cell.title):
            if any(cell.recipe.output == other.recipe.output for other in cells[:place]):
                raise UserError(f"vary: two cells have the folder {cell.recipe.output}; is a value there twice?")
    errors.refuse()
    return cells


def select(cells: Sequence[SweepCell], sweep: Sweep, chosen: Sequence[str]) -> list[SweepCell]:
    """The cells that the overrides `chosen` would not change. Raises `UserError` if there are none."""
    selected = [
        cell for cell in cells if not chosen or load_begun(sweep.recipe, [*cell.overrides, *chosen]) == cell.recipe
    ]
    if not selected:
        raise UserError(f"no cell of the sweep has {' '.join(chosen)}; it varies {', '.join(sweep.vary)}")
    return selected


def wandb_definition(path: Path) -> str:
    """The sweep in the YAML of `wandb sweep`, whose agents run single cells by this module's command.

    Raises `UserError` if the cells do not report to W&B.
    """
    sweep = load_sweep(path)
    recipe = plan(sweep, str(path))[0].recipe
    if recipe.training.tracker != "wandb":
        raise UserError(f"{path}: its cells report to {recipe.training.tracker}; set: [training.tracker=wandb]")
    best = recipe.evaluation.best
    definition = {
        "name": path.stem,
        "program": "finetune",
        "method": "grid",
        "metric": {"name": f"eval/{best.lower()}", "goal": "minimize" if best == "loss" else "maximize"},
        "parameters": {key: {"values": list(values)} for key, values in sweep.vary.items()},
        "command": ["${env}", "${interpreter}", "-m", "finetune", "sweep", str(path), "${args_no_hyphens}"],
    }
    return yaml.safe_dump(definition, sort_keys=False)


def _slug(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+-]+", "-", text).strip("-")
