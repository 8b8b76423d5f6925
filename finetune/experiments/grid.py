"""A grid: the runs whose figures stand beside the published ones, as YAML."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from finetune.config.errors import nearest, parse
from finetune.config.overrides import read_yaml
from finetune.config.recipe import Output, Recipe, load_recipe
from finetune.config.section import Section
from metrics.common.errors import UserError
from metrics.reports.published import published_scores


class Cell(Section):
    """One run: the published pair (pre-trained, fine-tuned) that it stands for, and the recipe that makes it."""

    dataset: str
    model: str
    recipe: Path
    set: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name on the screen."""
        return f"{self.dataset}, {self.model}"


class Grid(Section):
    """Runs in order; `set` changes every recipe, a cell's own `set` comes after it."""

    output: Output
    set: tuple[str, ...] = ()
    cells: Annotated[tuple[Cell, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Planned:
    """A cell with its recipe, read and changed as the grid says."""

    cell: Cell
    overrides: Sequence[str]
    recipe: Recipe


def load_grid(path: Path) -> Grid:
    """Read a grid. Raises `UserError` with every fault of the file at once."""
    return parse(Grid, read_yaml(path, "grid"), str(path))


def plan(grid: Grid, source: str) -> list[Planned]:
    """Read the recipe of every cell. Raises `UserError` with every fault of every cell at once."""
    faults: list[str] = []
    planned: list[Planned] = []
    for cell in grid.cells:
        with collected(faults, cell.title):
            _check_names(cell)
            overrides = [*grid.set, *cell.set]
            planned.append(Planned(cell, overrides, load_recipe(cell.recipe, overrides)))
    for place, one in enumerate(planned):
        with collected(faults, one.cell.title):
            _check_against(one, planned[:place])
    refuse(faults, source)
    return planned


@contextmanager
def collected(faults: list[str], title: str) -> Iterator[None]:
    """Keep a cell's `UserError` for `refuse`, so that all cells can be looked at."""
    try:
        yield
    except UserError as error:
        faults.append(f"{title}: {error}")


def refuse(faults: Sequence[str], source: str) -> None:
    """Raise `UserError` with all that was collected, if anything was."""
    if faults:
        raise UserError(
            "\n".join([f"{source}: {len(faults)} fault(s) in its cells", *(f"  {fault}" for fault in faults)])
        )


def _check_names(cell: Cell) -> None:
    published = published_scores()
    for key, name, known in (
        ("dataset", cell.dataset, {row.dataset for row in published}),
        ("model", cell.model, {row.model for row in published if row.setting}),
    ):
        if name not in known:
            raise UserError(f"{key}: expected one of {', '.join(sorted(known))}; found {name}{nearest(name, known)}")


def _check_against(one: Planned, earlier: Sequence[Planned]) -> None:
    if len(one.recipe.catalogues) > 1:
        raise UserError("data: mixes several catalogues; a published figure is of one")
    for other in earlier:
        if one.cell.title == other.cell.title:
            raise UserError("stands twice in the grid")
        if one.recipe.output == other.recipe.output:
            raise UserError(f"output: {one.recipe.output} is that of {other.cell.title} too; give each its own")
        if one.cell.dataset == other.cell.dataset and one.recipe.data != other.recipe.data:
            raise UserError(f"data: differs from that of {other.cell.title}; figures of one table need one catalogue")
