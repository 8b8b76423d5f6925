"""The whole path of a recipe: prepare, train, caption with base and fine-tuned model, score, report."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from finetune.captioning.baselines import write_baselines, write_shuffled
from finetune.captioning.captioning import Selection, caption_catalogue, is_untouched
from finetune.config.recipe import Recipe
from finetune.data.card.page import write_card
from finetune.data.mixture import prepare_all
from finetune.data.preparation import Prepared, write_references
from finetune.experiments.measures import check_scoring, is_complete, measures_of, prepare_scoring
from finetune.runs.folder import check_output, claim_output, read_run, recipe_values
from finetune.runs.paths import RunFolder
from finetune.runs.processes import call, locked
from finetune.runs.system import load_system
from finetune.training.preflight import check_recipe, check_splits
from finetune.training.trackers import attach_reports
from finetune.training.train import ensure_base
from metrics.common.errors import UserError
from metrics.common.files import read_bytes, write_text
from metrics.reports.score_files import score_files
from metrics.scoring.suite import installed_version

REPORT, SCORING = "report", "scoring.json"
SYSTEMS = ("pretrained", "fine-tuned")


def run(recipe: Recipe, path: Path, overrides: Sequence[str]) -> list[Path]:
    """Do all that is not done yet and return each catalogue's report folder. Killed and started again, it goes on."""
    check_recipe(recipe)
    check_scoring(recipe)
    with locked(recipe.output):
        trained = check_output(recipe, resume=True)
        parts = _begin(recipe)
        baselines = [write_baselines(part, folder / "captions") for part, folder in parts]
    if not trained:
        launch_training(path, overrides)
    with locked(recipe.output):
        trained_captions = _caption(recipe, parts)
        reports = [
            _report(recipe, [*files, *captions], folder)
            for files, captions, (_, folder) in zip(baselines, trained_captions, parts, strict=True)
        ]
        by_catalogue = {name: folder / "report.json" for name, folder in zip(recipe.catalogues, reports, strict=True)}
        attach_reports(recipe.training.tracker, RunFolder(recipe.output), recipe_values(recipe), by_catalogue)
        return reports


def _begin(recipe: Recipe) -> list[tuple[Prepared, Path]]:
    """Prepare the catalogues, each with the folder for what is its own, and the base model."""
    mixture = prepare_all(recipe)
    claim_output(recipe, mixture.whole)
    parts = mixture.folders(recipe.output)
    for part, folder in parts:
        write_references(part, folder)
        write_card(part, folder)
    ensure_base(recipe, mixture.whole)
    check_splits(mixture.whole)
    for _, folder in parts:
        prepare_scoring(recipe, folder)
    return parts


def _caption(recipe: Recipe, parts: list[tuple[Prepared, Path]]) -> list[list[Path]]:
    """Each catalogue's captions by the base and by the trained model."""
    files = [[folder / "captions" / name / "captions.jsonl" for name in SYSTEMS] for _, folder in parts]
    for number, model in enumerate((recipe.model.base, str(recipe.output))):
        system = load_system(model, None, recipe)
        for (part, _), captions in zip(parts, files, strict=True):
            caption_catalogue(system, part, Selection(), captions[number])
        del system  # the next one may need its memory
    return files


def _report(recipe: Recipe, files: list[Path], folder: Path) -> Path:
    """Score one catalogue's systems; the last one also with its photos shuffled."""
    shuffled = write_shuffled(files[-1], folder / "captions" / "shuffled")
    score_files([*files, shuffled], folder / REPORT, measures_of(recipe, folder))
    write_text(folder / REPORT / SCORING, recipe.scoring.model_dump_json())
    return folder / REPORT


def finished_report(recipe: Recipe) -> dict[str, Any] | None:
    """`report.json` of the recipe's run where nothing is left to do; loads neither model nor catalogue.

    The captions that stand are those it scores, written with the recipe's decoding, and this version made it.
    Raises `UserError` where the output holds a run of another recipe.
    """
    path = recipe.output / REPORT / "report.json"
    if not check_output(recipe, resume=True) or not path.is_file():
        return None
    try:
        report = dict(json.loads(path.read_text(encoding="utf-8")))
        scored = [system["run"] for system in report["systems"]]
        complete = is_complete(report["measures"], measures_of(recipe, recipe.output))
        complete &= read_bytes(path.with_name(SCORING)).decode() == recipe.scoring.model_dump_json()
        current = report["lookbook"] == installed_version() and complete
    except (ValueError, KeyError, TypeError, UserError):
        return None
    return report if current and all(_is_scored(recipe, folder, scored) for folder in SYSTEMS) else None


def _is_scored(recipe: Recipe, folder: str, scored: Sequence[Any]) -> bool:
    captions = recipe.output / "captions" / folder / "captions.jsonl"
    run = read_run(captions.parent)
    same = run in scored and run.get("decoding") == recipe.decoding.model_dump()
    return same and is_untouched(captions)


def launch_training(path: Path, overrides: Sequence[str]) -> None:
    """`python -m finetune train RECIPE --resume` in a process of its own, under `accelerate launch` on several GPUs."""
    command = ["-m", "finetune", "train", str(path), *overrides, "--resume"]
    gpus = torch.cuda.device_count()
    if gpus > 1:
        command = ["-m", "accelerate.commands.accelerate_cli", "launch", *launch_options(gpus), *command]
    environment = os.environ if gpus else os.environ | {"ACCELERATE_USE_CPU": "true"}
    code = call([sys.executable, *command], environment, launcher=gpus > 1)
    if code:
        raise UserError(f"training ended with code {code}; its message stands above. Start again to go on")


def launch_options(gpus: int) -> list[str]:
    """What `accelerate config` would ask; port 0 is any that is free."""
    options = ["--quiet", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--multi_gpu"]
    options += ["--num_processes", str(gpus), "--num_cpu_threads_per_process", _threads()]
    return [*options, "--main_process_port", "0"]


def _threads() -> str:
    return os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads())
