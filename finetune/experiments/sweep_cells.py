"""The runs of a sweep: a recipe with every combination of some values."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from finetune.config.experiments import Sweep
from finetune.config.recipe import Recipe
from finetune.experiments.cells import Cell, CellErrors
from finetune.runs.claim import load_begun
from metrics.common.errors import UserError


@dataclass(frozen=True)
class SweepCell(Cell):
    """One combination of values, by key."""

    values: Mapping[str, Any]


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


def wandb_definition(sweep: Sweep, recipe: Recipe, path: Path) -> str:
    """The sweep at `path` in the YAML of `wandb sweep`, whose agents run single cells by the command `sweep`.

    `recipe` is that of any cell. Raises `UserError` if it does not report to W&B.
    """
    if recipe.training.tracker != "wandb":
        raise UserError(f"{path}: its cells report to {recipe.training.tracker}; set: [training.tracker=wandb]")
    best = recipe.evaluation.best
    definition = {
        "name": path.stem,
        "program": "finetune",
        "method": "grid",
        "metric": {"name": f"eval/{best.lower()}", "goal": "minimize" if best == "loss" else "maximize"},
        "parameters": {key: {"values": list(values)} for key, values in sweep.vary.items()},
        "command": ["${env}", "${interpreter}", "-P", "-m", "finetune", "sweep", str(path), "${args_no_hyphens}"],
    }
    return yaml.safe_dump(definition, sort_keys=False)


def _slug(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+-]+", "-", text).strip("-")
