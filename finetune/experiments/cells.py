"""The runs of an experiment, planned: nothing here imports torch, so that an error in them is reported at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finetune.config.recipe import Recipe
from metrics.common.errors import UserError


@dataclass(frozen=True)
class Cell:
    """One run of an experiment: its name on the screen, its recipe's file and overrides, and the recipe they give."""

    title: str
    recipe_path: Path
    overrides: Sequence[str]
    recipe: Recipe


class CellErrors:
    """The errors of all cells, each once with the first cell that has it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._titles: dict[str, list[str]] = {}

    @contextmanager
    def collect(self, title: str) -> Iterator[None]:
        """Note the `UserError` of a cell, so that the others are looked at too."""
        try:
            yield
        except UserError as error:
            self._titles.setdefault(str(error), []).append(title)

    def refuse(self) -> None:
        """Raise one `UserError` with all errors, if there are any."""
        if self._titles:
            lines = [f"  {_several(titles)}: {message}" for message, titles in self._titles.items()]
            raise UserError("\n".join([f"{self._source}: {len(lines)} error(s) in its cells", *lines]))


def _several(titles: Sequence[str]) -> str:
    others = len(titles) - 1
    return titles[0] + (f" (and {others} more)" if others else "")
