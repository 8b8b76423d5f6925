"""`train --dry-run`: a few optimizer steps, a validation batch, a batch of captions; what they took, nothing kept."""

import math
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from accelerate.utils.memory import should_reduce_batch_size
from transformers.trainer_utils import SaveStrategy

from finetune.config.recipe import CaptionEvaluation, Recipe
from finetune.data.mixture import prepare_all
from finetune.data.preparation import Prepared
from finetune.models.families.base import Captioner
from finetune.models.generation import generate
from finetune.models.memory import estimate as memory
from finetune.runs.processes import distributed
from finetune.training.arguments import EarlyStopping
from finetune.training.preflight import check_recipe, check_splits
from finetune.training.step_clock import StepClock
from finetune.training.train import build_trainer, ensure_base, trainable
from finetune.training.trainer import CaptionTrainer
from metrics.common.errors import UserError
from metrics.common.formatting import duration
from metrics.common.images import to_rgb
from metrics.common.tables import WideTable, print_tables

STEPS = 2
Facts = dict[str, str]


def dry_run(recipe: Recipe) -> None:
    """Train on the longest captions for a moment in a folder that is thrown away, and print what it took.

    The recipe's output is neither read nor written. Raises `UserError` as `train` does.
    """
    state = distributed()
    check_recipe(recipe, state.num_processes)
    with state.main_process_first():
        mixture = prepare_all(recipe.catalogues, recipe.training.seed)
    check_splits(mixture.whole)
    if state.is_main_process:
        memory.show(memory.estimate(recipe))
    with tempfile.TemporaryDirectory(prefix="lookbook-dry-run-") as own:
        folder = Path(broadcast_object_list([own])[0])  # the first process's, where a tiny base is made
        facts = _in_memory(recipe, lambda: _try(_moved(recipe, folder), recipe.evaluation, mixture.whole, state))
        state.wait_for_everyone()
    if state.is_main_process:
        _show(facts)


def _in_memory(recipe: Recipe, action: Callable[[], Facts]) -> Facts:
    try:
        return action()
    except Exception as error:
        if not should_reduce_batch_size(error):
            raise
        size, reason = recipe.training.micro_batch_size, str(error).splitlines()[0]
    raise UserError(
        f"out of memory with micro-batches of {size} ({reason}); training would halve them. What takes less: "
        "training.micro_batch_size, training.gradient_checkpointing=true, model.quantization=nf4"
    )


def _moved(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with everything it would write in `folder`."""
    changes: dict[str, Any] = {
        "output": folder / "run",
        "training": recipe.training.model_copy(update={"tracker": "none"}),
        "evaluation": recipe.evaluation.model_copy(update={"captions": 0, "best": "loss"}),
    }
    if recipe.model.tiny and not Path(recipe.model.base).exists():
        changes["model"] = recipe.model.model_copy(update={"base": str(folder / "base")})
    return recipe.model_copy(update=changes)


def _try(recipe: Recipe, evaluation: CaptionEvaluation, prepared: Prepared, state: PartialState) -> Facts:
    with state.main_process_first():
        if state.is_main_process:
            ensure_base(recipe, prepared)
    captioner = trainable(recipe, prepared, str(state.device))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    facts, step, validated = _train(recipe, captioner, prepared, state.num_processes)
    captions, captioned = _caption(recipe, captioner, prepared)
    judged = validated * len(prepared.splits["validation"]) + captioned * evaluation.captions / state.num_processes
    whole = {"the whole training": _whole(recipe, prepared, step, judged)}
    return facts | captions | whole | {"peak memory": peak_memory()}


def _train(recipe: Recipe, captioner: Captioner, prepared: Prepared, processes: int) -> tuple[Facts, float, float]:
    """What was measured, seconds of an optimizer step, and of the validation of an item."""
    trainer = build_trainer(recipe, captioner, _longest(prepared, recipe, processes), processes)
    trainer.args.max_steps = STEPS
    trainer.args.save_strategy = SaveStrategy.NO
    trainer.args.load_best_model_at_end = False
    trainer.remove_callback(EarlyStopping)
    clock = StepClock()
    trainer.add_callback(clock)
    trainer.train()
    step = clock.seconds[-1]
    started = time.perf_counter()
    trainer.evaluate()
    validation = time.perf_counter() - started
    batch = recipe.training.batch_size
    facts = {
        "optimizer step": f"{duration(step)}, {batch / step:.2f} photos/s, the step before as warm-up "
        f"{duration(clock.seconds[0])}",
    }
    return _tokens(trainer) | facts, step, validation / len(trainer.eval_dataset)


def _longest(prepared: Prepared, recipe: Recipe, processes: int) -> Prepared:
    """The training items with the longest captions, for each step, and the longest of validation for a batch."""
    sizes = {"train": STEPS * recipe.training.batch_size, "validation": recipe.training.micro_batch_size * processes}
    chosen = {name: _select(prepared.splits[name], size) for name, size in sizes.items()}
    return Prepared(prepared.splits | chosen, prepared.account)


def _select(data: Any, size: int) -> Any:
    """Rows by the length of their captions, the longest first, over again where there are too few."""
    captions: Sequence[str] = data["caption"][:]
    rows = sorted(range(len(captions)), key=lambda row: -len(captions[row]))
    return data.select([rows[place % len(rows)] for place in range(size)])


def _tokens(trainer: CaptionTrainer) -> Facts:
    batch = next(iter(trainer.get_train_dataloader()))
    read, labelled = int(batch["attention_mask"].sum()), int((batch["labels"] != -100).sum())
    photos, width = batch["input_ids"].shape
    steps = trainer.args.gradient_accumulation_steps * trainer.args.world_size
    told = f"{read * steps:,} read, {labelled * steps:,} with a label, {photos * width * steps:,} with padding"
    return {"tokens per step": f"about {told}"}


def _whole(recipe: Recipe, prepared: Prepared, step: float, judged: float) -> str:
    """At the most: all epochs, with the longest captions; `judged` is seconds a validation, its captions included."""
    training = recipe.training
    an_epoch = math.ceil(len(prepared.splits["train"]) / training.batch_size)
    steps = min(math.ceil(training.epochs * an_epoch), training.max_steps or math.inf)
    validations = math.ceil(steps / (recipe.evaluation.every or an_epoch))
    spent = steps * step + validations * judged
    return f"at the most {duration(spent)}: {steps:,} steps, {validations:,} validations; scoring captions beside"


def _caption(recipe: Recipe, captioner: Captioner, prepared: Prepared) -> tuple[Facts, float]:
    """What was measured, and seconds a photo."""
    data = prepared.splits["validation"]
    photos = [to_rgb(data[row % len(data)]["image"]) for row in range(recipe.decoding.batch_size)]
    captioner.model.eval()
    started = time.perf_counter()
    prompts = [captioner.prompt_of(recipe.prompt)] * len(photos)
    generated = generate(captioner, photos, prompts, recipe.decoding)
    spent = time.perf_counter() - started
    tokens = sum(one.tokens for one in generated)
    return {"captioning": f"{duration(spent)} for {len(photos)} photos, {tokens:,} tokens"}, spent / len(photos)


def peak_memory() -> str:
    """The most that this process held so far: on the GPU since the last reset, or of the machine's memory."""
    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_allocated() / memory.GIB:.2f} GiB on the GPU"
    unit = 1 if platform.system() == "Darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / memory.GIB:.2f} GiB"


def _show(facts: Facts) -> None:
    table = WideTable(["", ""])
    for name, value in facts.items():
        table.add_row(name, value)
    print_tables(table)
    print("dry run: nothing was kept")
