"""The whole path of a recipe: prepare, train, caption with base and fine-tuned model, score, report."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from finetune.baselines import write_baselines, write_shuffled
from finetune.captioning import Selection, caption_catalogue
from finetune.card import write_card
from finetune.config import Recipe
from finetune.mixture import prepare_all
from finetune.preparation import write_references
from finetune.runs import check_output, claim_output, load_system
from finetune.training import ensure_base
from finetune.validation import check_recipe, check_splits
from metrics.__main__ import score
from metrics.errors import UserError


def run(recipe: Recipe, path: Path, overrides: Sequence[str]) -> list[Path]:
    """Do all that is not done yet and return each catalogue's report folder. Killed and started again, it goes on."""
    check_recipe(recipe)
    trained = check_output(recipe, resume=True)
    mixture = prepare_all(recipe)
    claim_output(recipe, mixture.whole)
    parts = mixture.folders(recipe.output)
    for part, folder in parts:
        write_references(part, folder)
        write_card(part, folder)
    ensure_base(recipe, mixture.whole)
    check_splits(mixture.whole)
    files = {folder: write_baselines(part, folder / "captions") for part, folder in parts}
    if not trained:
        launch_training(path, overrides)
    for name, model in (("pretrained", recipe.model.base), ("fine-tuned", str(recipe.output))):
        system = load_system(model, None, recipe)
        for part, folder in parts:
            files[folder].append(folder / "captions" / name / "captions.jsonl")
            caption_catalogue(system, part, Selection(), files[folder][-1])
        del system  # the next one may need its memory
    return [_report(captions, folder) for folder, captions in files.items()]


def _report(files: list[Path], folder: Path) -> Path:
    """Score one catalogue's systems; the last one also with its photos shuffled."""
    report = folder / "report"
    score([*files, write_shuffled(files[-1], folder / "captions" / "shuffled")], report)
    return report


def launch_training(path: Path, overrides: Sequence[str]) -> None:
    """`accelerate launch -m finetune train RECIPE --resume` on every GPU there is, else on the CPU."""
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *launch_options()]
    command += ["-m", "finetune", "train", str(path), *overrides, "--resume"]
    code = subprocess.run(command, check=False).returncode  # noqa: S603
    if code:
        raise UserError(f"training ended with code {code}; its message stands above. Start again to go on")


def launch_options() -> list[str]:
    """What `accelerate config` would ask."""
    gpus = torch.cuda.device_count()
    options = ["--quiet", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    options += ["--num_processes", str(max(gpus, 1)), "--num_cpu_threads_per_process", _threads()]
    return options + (["--multi_gpu"] if gpus > 1 else [] if gpus else ["--cpu"])


def _threads() -> str:
    return os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads())
