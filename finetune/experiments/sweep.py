"""A sweep: a recipe run with every combination of some values, one after the other, going on where it stopped."""

import json
import re
import sys
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
from finetune.config.recipe import Output, Recipe, load_recipe
from finetune.config.section import Section
from finetune.experiments.measures import check_scoring
from finetune.experiments.pipeline import finished_report, launch_training
from finetune.experiments.sweep_table import NAME, Row, row_of, show, write_table
from finetune.runs.claim import is_finished as is_trained
from finetune.runs.processes import call
from finetune.training.preflight import check_recipe
from metrics.common.errors import UserError


def _not_output(vary: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    if "output" in vary:
        raise ValueError("output: each cell has a folder of its own in the sweep's output; leave it out")
    return vary


class Sweep(Section):
    """Every combination of the values in `vary`, each a run of `recipe`; `set` changes all of them.

    `whole`: cells are run to their report of the test split; else they are trained only.
    """

    recipe: Path
    output: Output
    whole: bool = False
    set: tuple[str, ...] = ()
    vary: Annotated[
        dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(min_length=1), AfterValidator(_not_output)
    ]


@dataclass(frozen=True)
class Cell:
    """One combination: its values by key, and its recipe, read and changed."""

    values: Mapping[str, Any]
    overrides: Sequence[str]
    recipe: Recipe

    @property
    def title(self) -> str:
        """Its name on the screen."""
        return " ".join(f"{key}={value}" for key, value in self.values.items())


def run_sweep(path: Path, chosen: Sequence[str] = ()) -> Path:
    """Run the cells of the sweep at `path` that are not finished (those with the values `chosen`, KEY=VALUE, alone).

    Returns the table, which stands anew after each cell. Raises `UserError` with the faults of all cells before any
    runs, and at the end where some have failed; the others are run all the same. Started again, it goes on.
    """
    sweep = load_sweep(path)
    cells = plan(sweep, str(path))
    wanted = select(cells, sweep, chosen)
    _check(sweep, wanted, str(path))
    failed: dict[str, str] = {}
    for number, cell in enumerate(wanted, 1):
        where = f"[{number}/{len(wanted)}] {cell.title}"
        if is_finished(sweep, cell):
            print(f"{where}: finished already", flush=True)
            continue
        print(f"{where}: into {cell.recipe.output}", flush=True)
        try:
            _run(sweep, cell)
        except UserError as error:
            failed[cell.title] = str(error)
        _tabulate(sweep, cells, failed)
    show(_tabulate(sweep, cells, failed))
    table = sweep.output / f"{NAME}.md"
    print(f"table: {table}")
    if failed:
        raise UserError(f"{len(failed)} cell(s) failed, the first is {next(iter(failed))}; start again to go on there")
    return table


def load_sweep(path: Path) -> Sweep:
    """Read a sweep. Raises `UserError` with every fault of the file at once."""
    return parse(Sweep, read_yaml(path, "sweep"), str(path))


def plan(sweep: Sweep, source: str) -> list[Cell]:
    """All cells in order, the last key's values changing fastest. Raises `UserError` with every fault at once."""
    cells, faults = [], Faults()
    for combination in product(*sweep.vary.values()):
        values = dict(zip(sweep.vary, combination, strict=True))
        folder = sweep.output / "_".join(f"{key.rpartition('.')[2]}-{_slug(one)}" for key, one in values.items())
        changes = [f"{key}={json.dumps(one)}" for key, one in values.items()]
        overrides = [*sweep.set, *changes, f"output={json.dumps(str(folder))}"]
        try:
            cells.append(Cell(values, overrides, load_recipe(sweep.recipe, overrides)))
        except UserError as error:
            faults.add(str(error), str(values))
    for place, cell in enumerate(cells):
        if any(cell.recipe.output == other.recipe.output for other in cells[:place]):
            faults.add(f"vary: two cells have the folder {cell.recipe.output}; is a value there twice?", cell.title)
    faults.refuse(source)
    return cells


def select(cells: Sequence[Cell], sweep: Sweep, chosen: Sequence[str]) -> list[Cell]:
    """The cells that `chosen` overrides would not change. Raises `UserError` where there are none."""
    found = [
        cell for cell in cells if not chosen or load_recipe(sweep.recipe, [*cell.overrides, *chosen]) == cell.recipe
    ]
    if not found:
        raise UserError(f"no cell of the sweep has {' '.join(chosen)}; it varies {', '.join(sweep.vary)}")
    return found


def is_finished(sweep: Sweep, cell: Cell) -> bool:
    """Whether nothing of the cell is left to do. Raises `UserError` where its folder holds another recipe's run."""
    return is_trained(cell.recipe, resume=True) and (not sweep.whole or finished_report(cell.recipe) is not None)


def wandb_definition(path: Path) -> str:
    """The sweep in the YAML of `wandb sweep`, whose agents run single cells by this module's command.

    Raises `UserError` where the cells do not report to W&B.
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


class Faults:
    """What is wrong with cells, each fault once with the cells that have it."""

    def __init__(self) -> None:
        self._titles: dict[str, list[str]] = {}

    def add(self, fault: str, title: str) -> None:
        """Note a cell's fault."""
        self._titles.setdefault(fault, []).append(title)

    def refuse(self, source: str) -> None:
        """Raise `UserError` with all of them, if there are any."""
        lines = [f"  {fault} (cells: {len(titles)}, first {titles[0]})" for fault, titles in self._titles.items()]
        if lines:
            raise UserError("\n".join([f"{source}: {len(lines)} fault(s) in its cells", *lines]))


def _check(sweep: Sweep, cells: Sequence[Cell], source: str) -> None:
    faults = Faults()
    for cell in cells:
        try:
            if sweep.whole and len(cell.recipe.catalogues) > 1:
                raise UserError("data: mixes several catalogues, which have a report each; leave `whole` out")
            if not is_finished(sweep, cell):
                check_recipe(cell.recipe, max(torch.cuda.device_count(), 1))
                if sweep.whole:
                    check_scoring(cell.recipe)
        except UserError as error:
            faults.add(str(error), cell.title)
    faults.refuse(source)


def _run(sweep: Sweep, cell: Cell) -> None:
    """In a process of its own, which gives all memory back."""
    if not sweep.whole:
        launch_training(sweep.recipe, cell.overrides)
        return
    code = call([sys.executable, "-m", "finetune", "run", str(sweep.recipe), *cell.overrides])
    if code:
        raise UserError(f"ended with code {code}; its message stands above")


def _tabulate(sweep: Sweep, cells: Sequence[Cell], failed: Mapping[str, str]) -> dict[str, Any]:
    rows: list[Row] = [row_of(cell.values, cell.recipe, failed.get(cell.title)) for cell in cells]
    return write_table(str(sweep.recipe), cells[0].recipe.evaluation.best, rows, sweep.output)


def _slug(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+-]+", "-", text).strip("-")
