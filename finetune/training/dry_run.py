"""`train --dry-run`: times a few optimizer steps, a validation batch and a batch of captions, and keeps nothing."""

import math
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from accelerate.utils.memory import should_reduce_batch_size
from transformers.trainer_utils import SaveStrategy

from finetune.config.recipe import Augmentation, CaptionEvaluation, Decoding, Recipe, Training
from finetune.data.mixture import prepare_all
from finetune.data.preparation import Prepared
from finetune.models.families.base import Captioner
from finetune.models.generation import generate
from finetune.models.memory import estimate as memory
from finetune.runs.folder import RunFolder
from finetune.runs.processes import distributed
from finetune.training.arguments import training_arguments
from finetune.training.callbacks import ResumableEarlyStopping, StepClock
from finetune.training.preflight import check_recipe, check_splits
from finetune.training.stored_features import photos_to_store, show_disk, store_features
from finetune.training.train import build_trainer, check_texts, ensure_base, trainable
from finetune.training.trainer import CaptionTrainer
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.formatting import duration
from metrics.common.tables import WideTable, print_tables
from metrics.photos.colours import to_rgb

STEPS = 2
MEASURED_PHOTOS = 64
Facts = dict[str, str]


def dry_run(recipe: Recipe) -> None:
    """Train on the longest captions for a moment in a temporary folder, and print the time and memory it took.

    The recipe's output is neither read nor written. Raises `UserError` as `train` does.
    """
    state = distributed()
    check_recipe(recipe, state.num_processes)
    with state.main_process_first():
        mixture = prepare_all(recipe.catalogues, recipe.training.seed)
    check_splits(mixture.whole)
    if state.is_main_process:
        estimated = memory.estimate(recipe)
        memory.show(estimated)
        show_disk(estimated.stored, mixture.whole)
    with temporary_folder() as own:
        folder = Path(broadcast_object_list([str(own)])[0])  # the first process's, where a tiny base is made
        facts = _in_memory(
            recipe.training.micro_batch_size,
            lambda: _try(_moved(recipe, folder), recipe.evaluation, mixture.whole, state),
        )
        state.wait_for_everyone()
    if state.is_main_process:
        _show(facts)


def _in_memory(micro_batch_size: int, action: Callable[[], Facts]) -> Facts:
    try:
        return action()
    except Exception as error:
        if not should_reduce_batch_size(error):
            raise
        reason = str(error).splitlines()[0]
    raise UserError(
        f"out of memory with micro-batches of {micro_batch_size} ({reason}); training would halve them. "
        "What needs less: training.micro_batch_size, training.gradient_checkpointing=true, model.quantization=nf4"
    )


def _moved(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with everything that it writes moved to `folder`."""
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
    captioner = trainable(recipe.model, recipe.tune, recipe.lora, recipe.training, str(state.device))
    prompt = captioner.prompt_of(recipe.prompt)
    check_texts(captioner, prompt, recipe.decoding, recipe.labels, prepared)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with state.main_process_first():
        features = _features(captioner, recipe, prepared)
    facts, step_s, item_s = _train(recipe, captioner, prompt, prepared, state.num_processes)
    validation = prepared.splits["validation"]
    captions, caption_s = _caption(captioner, prompt, recipe.decoding, validation)
    validation_s = item_s * len(validation) + caption_s * evaluation.captions / state.num_processes
    whole = _whole(recipe.training, evaluation.every, len(prepared.splits["train"]), step_s, validation_s)
    return features | facts | captions | {"the whole training": whole, "peak memory": peak_memory()}


def _features(captioner: Captioner, recipe: Recipe, prepared: Prepared) -> Facts:
    """How long the features of all photos take that training stores, measured on a few."""
    if captioner.stored_features is None or recipe.augmentation != Augmentation():
        return {}
    train = prepared.splits["train"]
    few = train.select(range(min(MEASURED_PHOTOS, len(train))))
    started = time.perf_counter()
    rate = len(store_features(captioner, [few], recipe.output)) / (time.perf_counter() - started)
    seconds = photos_to_store(prepared) / rate
    return {"features of photos": f"about {duration(seconds)}, once before the first step: {rate:.1f} photos/s"}


def _train(
    recipe: Recipe, captioner: Captioner, prompt: str, prepared: Prepared, processes: int
) -> tuple[Facts, float, float]:
    """What was measured, seconds of an optimizer step, and of the validation of an item."""
    training, checkpoints = recipe.training, RunFolder(recipe.output).checkpoints
    trainer = build_trainer(
        captioner,
        prompt,
        _longest(prepared, training, processes),
        training_arguments(training, checkpoints, processes, recipe.evaluation),
        training,
        recipe.labels,
        recipe.augmentation,
        features=recipe.output,
    )
    trainer.args.max_steps = STEPS
    trainer.args.save_strategy = SaveStrategy.NO
    trainer.args.load_best_model_at_end = False
    trainer.remove_callback(ResumableEarlyStopping)
    clock = StepClock()
    trainer.add_callback(clock)
    trainer.train()
    step = clock.seconds[-1]
    started = time.perf_counter()
    trainer.evaluate()
    validation = time.perf_counter() - started
    batch = training.batch_size
    facts = {
        "optimizer step": f"{duration(step)}, {batch / step:.2f} photos/s, the step before as warm-up "
        f"{duration(clock.seconds[0])}",
    }
    return _tokens(trainer) | facts, step, validation / len(trainer.eval_dataset)


def _longest(prepared: Prepared, training: Training, processes: int) -> Prepared:
    """The training items with the longest captions, for each step, and the longest of validation for a batch."""
    sizes = {"train": STEPS * training.batch_size, "validation": training.micro_batch_size * processes}
    chosen = {name: _select(prepared.splits[name], size) for name, size in sizes.items()}
    return Prepared(prepared.splits | chosen, prepared.account)


def _select(data: Any, size: int) -> Any:
    """Rows by the length of their captions, the longest first, repeated if there are too few."""
    captions: Sequence[str] = data["caption"][:]
    rows = sorted(range(len(captions)), key=lambda row: -len(captions[row]))
    return data.select([rows[place % len(rows)] for place in range(size)])


def _tokens(trainer: CaptionTrainer) -> Facts:
    batch = next(iter(trainer.get_train_dataloader()))
    read, labelled = int(batch["attention_mask"].sum()), int((batch["labels"] != -100).sum())
    photos, width = batch["input_ids"].shape
    steps = trainer.args.gradient_accumulation_steps * trainer.args.world_size
    counts = f"{read * steps:,} read, {labelled * steps:,} with a label, {photos * width * steps:,} with padding"
    return {"tokens per step": f"about {counts}"}


def _whole(training: Training, every: int | None, items: int, step_s: float, validation_s: float) -> str:
    """An upper bound: all epochs, with the longest captions; `validation_s` includes the captions of a validation."""
    steps_per_epoch = math.ceil(items / training.batch_size)
    steps = min(math.ceil(training.epochs * steps_per_epoch), training.max_steps or math.inf)
    validations = math.ceil(steps / (every or steps_per_epoch))
    seconds = steps * step_s + validations * validation_s
    return f"at most {duration(seconds)}: {steps:,} steps, {validations:,} validations; scoring captions not included"


def _caption(captioner: Captioner, prompt: str, decoding: Decoding, validation: Any) -> tuple[Facts, float]:
    """What was measured, and seconds a photo."""
    photos = [to_rgb(validation[row % len(validation)]["image"]) for row in range(decoding.batch_size)]
    captioner.model.eval()
    started = time.perf_counter()
    generated = generate(captioner, photos, [prompt] * len(photos), decoding)
    seconds = time.perf_counter() - started
    tokens = sum(one.tokens for one in generated)
    return {"captioning": f"{duration(seconds)} for {len(photos)} photos, {tokens:,} tokens"}, seconds / len(photos)


def peak_memory() -> str:
    """The peak memory of this process: on the GPU since the last reset, or in main memory."""
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
