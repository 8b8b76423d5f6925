"""The YAML files of experiments of several runs: what a sweep, a grid and an ablation may say, and their readers."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from finetune.config.errors import parse
from finetune.config.overrides import read_yaml
from finetune.config.recipe import Output
from finetune.config.section import Section


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


class GridEntry(Section):
    """One run: the published pair (pre-trained, fine-tuned) that it is compared with, and the recipe that makes it."""

    dataset: str
    model: str
    recipe: Path
    set: tuple[str, ...] = ()


class Grid(Section):
    """Runs in order; `set` changes every recipe, an entry's own `set` comes after it."""

    output: Output
    set: tuple[str, ...] = ()
    cells: Annotated[tuple[GridEntry, ...], Field(min_length=1)]


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


def load_sweep(path: Path) -> Sweep:
    """Read a sweep. Raises `UserError` with every error of the file at once."""
    return parse(Sweep, read_yaml(path, "sweep"), str(path))


def load_grid(path: Path) -> Grid:
    """Read a grid. Raises `UserError` with every error of the file at once."""
    return parse(Grid, read_yaml(path, "grid"), str(path))


def load_ablation(path: Path) -> Ablation:
    """Read an ablation. Raises `UserError` with every error of the file at once."""
    return parse(Ablation, read_yaml(path, "ablation"), str(path))
