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
from finetune.preparation import prepare, write_references
from finetune.runs import check_output, claim_output, load_system
from finetune.training import ensure_base
from finetune.validation import check_recipe, check_splits
from metrics.__main__ import score
from metrics.errors import UserError


def run(recipe: Recipe, path: Path, overrides: Sequence[str]) -> Path:
    """Do all that is not done yet and return the report's folder. Killed and started again, it goes on."""
    check_recipe(recipe)
    trained = check_output(recipe, resume=True)
    prepared = prepare(recipe.data)
    claim_output(recipe, prepared)
    write_references(prepared, recipe.output)
    write_card(prepared, recipe.output)
    ensure_base(recipe, prepared)
    check_splits(prepared)
    captions = recipe.output / "captions"
    files = write_baselines(prepared, captions)
    if not trained:
        launch_training(path, overrides)
    for folder, model in (("pretrained", recipe.model.base), ("fine-tuned", str(recipe.output))):
        files.append(captions / folder / "captions.jsonl")
        caption_catalogue(load_system(model, None, recipe), prepared, Selection(), files[-1])
    files.append(write_shuffled(files[-1], captions / "shuffled"))
    report = recipe.output / "report"
    score(files, report)
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
