"""All runs of a grid, one after the other, going on where they stopped; the published figures beside ours."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.experiments.grid import Planned, collected, load_grid, plan, refuse
from finetune.experiments.grid_table import NAME, lines, write_comparison
from finetune.experiments.measures import check_scoring
from finetune.experiments.pipeline import finished_report
from finetune.runs.processes import call
from finetune.training.preflight import check_recipe
from metrics.common.errors import UserError
from metrics.common.formatting import duration, figure

WIDTH = 100


def reproduce(path: Path) -> Path:
    """Run what is not finished yet of the grid at `path`; the table stands anew after each run.

    Returns the table's page. Raises `UserError` with the faults of all cells before anything runs, and where a run
    fails; started again, it goes on there.
    """
    grid = load_grid(path)
    planned = plan(grid, str(path))
    reports = _finished(planned, str(path))
    comparison = write_comparison(planned, reports, grid.output)
    for number, one in enumerate(planned, 1):
        where = f"[{number}/{len(planned)}] {one.cell.title}"
        if one.cell.title in reports:
            print(f"{where}: finished already", flush=True)
            continue
        reports[one.cell.title] = _run(one, where)
        comparison = write_comparison(planned, reports, grid.output)
    _show(comparison)
    page = grid.output / f"{NAME}.html"
    print(f"table: {page}")
    return page


def _finished(planned: Sequence[Planned], source: str) -> dict[str, Any]:
    """The reports of finished runs, by title. Raises `UserError` with all that keeps the others from running."""
    faults: list[str] = []
    reports = {}
    for one in planned:
        with collected(faults, one.cell.title):
            report = finished_report(one.recipe)
            if report is None:
                check_recipe(one.recipe, max(torch.cuda.device_count(), 1))
                check_scoring(one.recipe)
            else:
                reports[one.cell.title] = report
    refuse(faults, source)
    return reports


def _run(one: Planned, where: str) -> dict[str, Any]:
    """`python -m finetune run` in a process of its own, which gives all memory back."""
    print(f"{where}: {one.cell.recipe} into {one.recipe.output}", flush=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "finetune", "run", str(one.cell.recipe), *one.overrides]
    code = call(command)
    if code:
        raise UserError(f"{where}: ended with code {code}; its message stands above. Start again to go on there")
    report = finished_report(one.recipe)
    if report is None:
        raise UserError(f"{where}: its report in {one.recipe.output} was changed meanwhile; start again")
    print(f"{where}: {duration(time.perf_counter() - started)}", flush=True)
    return report


def _show(comparison: dict[str, Any]) -> None:
    console = Console()
    console = Console(width=max(console.width, WIDTH))
    for dataset in comparison["datasets"]:
        table = Table(title=f"{dataset['name']}, x100", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for heading in ("", "whose"):
            table.add_column(heading)
        for measure in comparison["measures"]:
            table.add_column(measure, justify="right")
        for line in lines(dataset["rows"]):
            table.add_row(Text(line["title"]), line["whose"], *(figure(value) for value, _ in line["cells"]))
        console.print(table)
        for warning in dataset["warnings"]:
            console.print(Text(warning))
