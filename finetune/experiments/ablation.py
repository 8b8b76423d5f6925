"""What each correction to the published recipe is worth: the published one, ours, and each correction by itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from pydantic import Field

from finetune.captioning.captioning import Selection, caption_catalogue, is_untouched
from finetune.config.errors import parse
from finetune.config.overrides import read_yaml
from finetune.config.recipe import Output, Recipe, load_recipe
from finetune.config.section import Section
from finetune.data.mixture import prepare_one
from finetune.experiments.ablation_table import show, write_table
from finetune.experiments.grid import collected, refuse
from finetune.experiments.pipeline import launch_training
from finetune.runs.folder import check_output, read_run, read_training
from finetune.runs.system import load_system
from finetune.training.preflight import check_recipe
from metrics.measures.cider import Cider
from metrics.records.captions import read_records
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
class Cell:
    """One run: which corrections it lacks, and its recipe."""

    subject: Subject
    title: str
    overrides: tuple[str, ...]
    recipe: Recipe


def bench_recipe(path: Path) -> Path:
    """Train, caption and score what is not finished yet of the ablation at `path`, one run after the other.

    The table stands anew after each run; returns its page. Raises `UserError` with the faults of all runs before
    anything is trained, and where a run fails; started again, it goes on there.
    """
    ablation = parse(Ablation, read_yaml(path, "ablation"), str(path))
    cells = list(plan(ablation, str(path)))
    rows: list[dict[str, Any]] = []
    for number, cell in enumerate(cells, 1):
        print(f"[{number}/{len(cells)}] {cell.subject.name}, {cell.title}: {cell.recipe.output}", flush=True)
        rows.append(_finished(cell))
        page = write_table(rows, ablation.output)
    show(rows)
    print(f"table: {page}")
    return page


def plan(ablation: Ablation, source: str) -> Iterator[Cell]:
    """The runs of each model: published, published with each correction, ours without each, ours.

    Raises `UserError` with the faults of all of them.
    """
    faults: list[str] = []
    cells: list[Cell] = []
    for subject in ablation.models:
        for title, lacking in _variants(subject):
            with collected(faults, f"{subject.name}, {title}"):
                output = ablation.output / _file_name(subject.name) / _file_name(title)
                undone = [override for name in lacking for override in subject.published[name]]
                overrides = (*ablation.set, *subject.set, *undone, f"output={output}")
                cells.append(Cell(subject, title, overrides, load_recipe(subject.recipe, overrides)))
                check_recipe(cells[-1].recipe)
    refuse(faults, source)
    yield from cells


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


def _finished(cell: Cell) -> dict[str, Any]:
    """A line of the table, for which the run is trained and captioned where it is not yet."""
    captions = cell.recipe.output / "captions" / "captions.jsonl"
    if not check_output(cell.recipe, resume=True):
        launch_training(cell.subject.recipe, cell.overrides)
    if read_run(captions.parent).get("decoding") != cell.recipe.decoding.model_dump() or not is_untouched(captions):
        system = load_system(str(cell.recipe.output), None, cell.recipe)
        prepared = prepare_one(cell.recipe.catalogues, cell.recipe.training.seed)
        caption_catalogue(system, prepared, Selection(SPLIT), captions)
    training = read_training(cell.recipe.output) or {}
    return {"model": cell.subject.name, "title": cell.title, **_trained(training), **_captioned(captions)}


def _trained(training: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "validation_loss": training["best_validation_loss"],
        "steps": max(entry["step"] for entry in training["loss_history"]),
        "step_s": training["times"].get("step_s"),  # none where it was killed after its last step
        "hardware": training["hardware"] | {"threads": training["threads"]},
        "versions": training["versions"],
        "git": training["git"],
    }


def _captioned(captions: Path) -> dict[str, Any]:
    """CIDEr, how long captions are, and how many of them end by themselves."""
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
