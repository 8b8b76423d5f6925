"""The runs of a grid, whose figures are compared with the published ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.config.errors import nearest
from finetune.config.experiments import Grid, GridEntry
from finetune.experiments.cells import Cell, CellErrors
from finetune.runs.claim import load_begun
from metrics.common.errors import UserError
from metrics.reports.published import published_scores


@dataclass(frozen=True)
class GridCell(Cell):
    """A run of the grid, and the published data set and model that it is compared with."""

    dataset: str
    model: str


def plan(grid: Grid, source: str) -> list[GridCell]:
    """Read the recipe of every cell. Raises `UserError` with every error of every cell at once."""
    errors = CellErrors(source)
    cells: list[GridCell] = []
    for entry in grid.cells:
        title = f"{entry.dataset}, {entry.model}"
        with errors.collect(title):
            _check_names(entry)
            overrides = [*grid.set, *entry.set]
            recipe = load_begun(entry.recipe, overrides)
            cells.append(GridCell(title, entry.recipe, overrides, recipe, entry.dataset, entry.model))
    for place, cell in enumerate(cells):
        with errors.collect(cell.title):
            _check_against(cell, cells[:place])
    errors.refuse()
    return cells


def _check_names(entry: GridEntry) -> None:
    published = published_scores()
    for key, name, known in (
        ("dataset", entry.dataset, {row.dataset for row in published}),
        ("model", entry.model, {row.model for row in published if row.setting}),
    ):
        if name not in known:
            raise UserError(f"{key}: expected one of {', '.join(sorted(known))}; found {name}{nearest(name, known)}")


def _check_against(cell: GridCell, earlier: Sequence[GridCell]) -> None:
    if len(cell.recipe.catalogues) > 1:
        raise UserError("data: mixes several catalogues; a published figure is of one")
    for other in earlier:
        if cell.title == other.title:
            raise UserError("is in the grid twice; remove one of them")
        if cell.recipe.output == other.recipe.output:
            raise UserError(f"output: {cell.recipe.output} is that of {other.title} too; give each its own")
        if cell.dataset == other.dataset and cell.recipe.data != other.recipe.data:
            raise UserError(f"data: differs from that of {other.title}; figures of one table need one catalogue")
