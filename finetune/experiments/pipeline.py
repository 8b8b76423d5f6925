"""The whole path of a recipe: prepare, train, caption with base and fine-tuned model, score, report, fill."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from finetune.captioning.baselines import write_baselines, write_shuffled
from finetune.captioning.captioning import Selection, caption_catalogue, is_untouched
from finetune.captioning.filling.fill import Filling
from finetune.captioning.filling.rules import Rules
from finetune.captioning.filling.run_fill import summary
from finetune.captioning.lookup import check_lookup, lookup_encoder, write_lookups
from finetune.config.recipe import Decoding, Recipe
from finetune.data.card.page import write_card
from finetune.data.catalogues import loader_of
from finetune.data.mixture import prepare_all
from finetune.data.preparation import Prepared, write_tables
from finetune.experiments.scoring_models import check_scoring, is_complete, measures_of, prepare_scoring
from finetune.runs.captioning_system import load_system
from finetune.runs.claim import claim_output, is_finished, own_output, recipe_values
from finetune.runs.folder import RunFolder
from finetune.runs.processes import call, locked
from finetune.training.preflight import check_recipe, check_splits
from finetune.training.trackers import attach_reports
from finetune.training.train import ensure_base
from metrics.common.errors import UserError
from metrics.common.files import read_bytes, read_json_object, write_text
from metrics.common.processes import child_environment, python_module
from metrics.common.version import installed_version
from metrics.records.run import read_run
from metrics.reports.report import NEW_PARTS
from metrics.reports.score_files import score_files

SCORING, BASELINES = "scoring.json", "baselines.json"
SYSTEMS = ("pretrained", "fine-tuned")


def run(recipe: Recipe, path: Path, overrides: Sequence[str]) -> list[Path]:
    """Do all that is not done yet and return each catalogue's report folder. Interrupted and run again, it resumes."""
    check_recipe(recipe)
    check_scoring(recipe.scoring)
    check_lookup(recipe)
    own_output(recipe)
    with locked(recipe.output):
        trained = is_finished(recipe, resume=True)
        parts = _begin(recipe)
        baselines = [write_baselines(part, folder / "captions") for part, folder in parts]
    if not trained:
        launch_training(path, overrides)
    with locked(recipe.output):
        fillings = _fillings(recipe, parts)
        trained_captions = _caption(recipe, parts, fillings)
        training = [RunFolder(folder).references("train") for _, folder in parts]
        reports = [
            _report(recipe, [*files, *captions], RunFolder(folder), training)
            for files, captions, (_, folder) in zip(baselines, trained_captions, parts, strict=True)
        ]
        by_catalogue = {
            name: RunFolder(folder).report_json for name, (_, folder) in zip(recipe.catalogues, parts, strict=True)
        }
        attach_reports(recipe.training.tracker, RunFolder(recipe.output), recipe_values(recipe), by_catalogue)
        for filling in fillings:
            print(summary(filling, filling.write()))
        return reports


def _begin(recipe: Recipe) -> list[tuple[Prepared, Path]]:
    """Prepare the catalogues, each with the folder for what is its own, and the base model."""
    mixture = prepare_all(recipe.catalogues, recipe.training.seed)
    claim_output(recipe, mixture.whole.account.fingerprint)
    parts = mixture.folders(recipe.output)
    for part, folder in parts:
        write_tables(part, folder)
        write_card(part, folder)
    ensure_base(recipe, mixture.whole)
    check_splits(mixture.whole)
    for _, folder in parts:
        prepare_scoring(recipe.scoring, RunFolder(folder))
    return parts


def _fillings(recipe: Recipe, parts: list[tuple[Prepared, Path]]) -> list[Filling]:
    """What there is to fill: the catalogues with photos that have no description."""
    sections = recipe.catalogues.values()
    return [
        Filling(part, loader_of(section).table(), Rules(), RunFolder(folder).filled)
        for section, (part, folder) in zip(sections, parts, strict=True)
        if len(part.splits["undescribed"])
    ]


def _caption(recipe: Recipe, parts: list[tuple[Prepared, Path]], fillings: list[Filling]) -> list[list[Path]]:
    """Each catalogue's captions by the base and by the trained model, which also writes what is to be filled.

    Before them those that are looked up, since the base's own vision tower may be what compares photos.
    """
    files: list[list[Path]] = [[] for _ in parts]
    for name, model in zip(SYSTEMS, (recipe.model.base, str(recipe.output)), strict=True):
        system = load_system(model, None, recipe)
        encoder = lookup_encoder(recipe, system) if name == SYSTEMS[0] else None
        for (part, folder), written in zip(parts, files, strict=True):
            if encoder:
                written.extend(write_lookups(part, folder / "captions", encoder, recipe))
            written.append(RunFolder(folder).captions(name))
            caption_catalogue(system, part, Selection(), written[-1])
        for filling in fillings if name == SYSTEMS[-1] else ():
            filling.caption(system)
        del system, encoder  # the next one may need their memory
    return files


def _report(recipe: Recipe, files: list[Path], folder: RunFolder, training: list[Path]) -> Path:
    """Score one catalogue's systems; the last one also with its photos shuffled. `training`: captions of all."""
    shuffled = write_shuffled(files[-1], folder.captions("shuffled").parent)
    scoring = recipe.scoring
    measures = measures_of(scoring, folder)
    score_files([*files, shuffled], folder.report, measures, clusters=scoring.clusters, training=training)
    write_text(folder.report / SCORING, scoring.model_dump_json())
    write_text(folder.report / BASELINES, recipe.baselines.model_dump_json())
    return folder.report


def finished_report(recipe: Recipe) -> dict[str, Any] | None:
    """`report.json` of the recipe's run if nothing is left to do, else None; loads neither model nor catalogue.

    It is finished if this version made it with all its parts and the recipe's measures and baselines, of captions that
    are unchanged since and were written with the recipe's decoding. Raises `UserError` if the output holds a run of
    another recipe.
    """
    folder = RunFolder(recipe.output)
    if not is_finished(recipe, resume=True) or not folder.report_json.is_file():
        return None
    try:
        report = read_json_object(folder.report_json, "it is made again")
        runs = [system["run"] for system in report["systems"]]
        current = _is_current(report, recipe, folder)
    except (ValueError, LookupError, TypeError, AttributeError, UserError):
        return None  # damaged, or without what it was measured with: made again
    current &= all(_is_scored(recipe.decoding, folder.captions(name), runs) for name in SYSTEMS)
    return report if current else None


def _is_current(report: dict[str, Any], recipe: Recipe, folder: RunFolder) -> bool:
    baselines = folder.report / BASELINES  # reports from before there were any to choose have no such file
    return (
        report["lookbook"] == installed_version()
        and report.keys() >= NEW_PARTS
        and read_bytes(folder.report / SCORING).decode() == recipe.scoring.model_dump_json()
        and (not baselines.is_file() or read_bytes(baselines).decode() == recipe.baselines.model_dump_json())
        and is_complete(report["measures"], measures_of(recipe.scoring, folder))
    )


def _is_scored(decoding: Decoding, captions: Path, runs: Sequence[Any]) -> bool:
    run = read_run(captions) if is_untouched(captions) else None
    return run is not None and run.raw in runs and run.decoding == decoding.model_dump()


def launch_training(path: Path, overrides: Sequence[str]) -> None:
    """`lookbook train RECIPE --resume` in a process of its own, under `accelerate launch` on several GPUs."""
    arguments = ["train", str(path), *overrides, "--resume"]
    gpus = torch.cuda.device_count()
    command = python_module("finetune", *arguments)
    if gpus > 1:
        launch = ["launch", *launch_options(gpus), "-m", "finetune"]
        command = python_module("accelerate.commands.accelerate_cli", *launch, *arguments)
    environment = child_environment() if gpus else child_environment(ACCELERATE_USE_CPU="true")
    code = call(command, environment, launcher=gpus > 1)
    if code:
        raise UserError(f"training ended with code {code}; its message is above. Start again to continue there")


def launch_options(gpus: int) -> list[str]:
    """What `accelerate config` would ask; port 0 is any that is free."""
    options = ["--quiet", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--multi_gpu"]
    options += ["--num_processes", str(gpus), "--num_cpu_threads_per_process", _threads()]
    return [*options, "--main_process_port", "0"]


def _threads() -> str:
    return os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads())
