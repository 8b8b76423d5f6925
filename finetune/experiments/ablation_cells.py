"""The runs of an ablation: the published recipe, ours, and each correction alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from finetune.config.experiments import Ablation, Subject
from finetune.experiments.cells import Cell, CellErrors
from finetune.runs.claim import load_begun

PUBLISHED, OURS = "published recipe", "ours"


@dataclass(frozen=True)
class AblationCell(Cell):
    """One run: its model, and which corrections it has (`published + padding`)."""

    model: str
    variant: str

    @property
    def captions(self) -> Path:
        """The captions of the test split by its model."""
        return self.recipe.output / "captions" / "captions.jsonl"


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
