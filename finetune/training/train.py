"""A training run from recipe to saved model."""

import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import set_seed

from finetune.config.recipe import Recipe
from finetune.data.mixture import Mixture, prepare_all
from finetune.data.preparation import Prepared, write_references
from finetune.models import adapters
from finetune.models.adapter_files import start_from, starting_point
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner, check_length
from finetune.models.gradient_checkpointing import checkpoint_towers
from finetune.models.loading import is_sharded
from finetune.models.memory import estimate as memory
from finetune.models.tiny import make_tiny
from finetune.runs.exposure import keep_trained_on, with_exposure
from finetune.runs.folder import (
    CHECKPOINTS,
    MODEL_FOLDER,
    START,
    check_output,
    claim_output,
    recipe_values,
    refuse_other_start,
    write_training,
)
from finetune.runs.processes import distributed, locked
from finetune.runs.provenance import git_hash, hardware, versions
from finetune.training.arguments import early_stopping, training_arguments
from finetune.training.augmentation import Augmenter
from finetune.training.callbacks import Tracking
from finetune.training.caption_evaluation import judge_of
from finetune.training.checkpoints import check_whole, last_checkpoint, remove_incomplete, remove_others, writing
from finetune.training.collator import CaptionCollator, check_padding, too_long
from finetune.training.micro_batch import fitting, with_micro_batch
from finetune.training.preflight import check_recipe, check_splits
from finetune.training.step_clock import StepClock
from finetune.training.trainer import CaptionTrainer
from metrics.common.errors import UserError


def train(
    recipe: Recipe, recipe_path: str | None = None, *, resume: bool = False, init_from: str | None = None
) -> Path:
    """Fine-tune as the recipe says, on however many processes `accelerate launch` started.

    Begins from the adapter `init_from` (its folder, its run's, a Hub id) where one is given.
    Keeps the weights best by `evaluation.best` in `<output>/model`, and the record in `<output>/training.json`.
    Returns the run's folder. Raises `UserError` where recipe, data or model do not fit.
    """
    state = distributed()
    check_recipe(recipe, state.num_processes)
    start = with_exposure(starting_point(recipe, init_from))
    with state.main_process_first():
        finished = check_output(recipe, resume=resume or not state.is_main_process)
        refuse_other_start(recipe, start)
    if finished:
        state.print(f"{recipe.output}: this recipe is trained already")
        return recipe.output
    if resume and not any((recipe.output / CHECKPOINTS).glob("checkpoint-*")):
        state.print(f"nothing to resume in {recipe.output}: training begins")
    with locked(recipe.output) if state.is_main_process else nullcontext():
        return fitting(recipe, state.num_processes, lambda size: _train(recipe, recipe_path, state, size, start))


def _train(
    recipe: Recipe, recipe_path: str | None, state: PartialState, micro_batch_size: int, start: dict[str, Any] | None
) -> Path:
    fitted = with_micro_batch(recipe, micro_batch_size)
    with state.main_process_first():
        mixture = prepare_all(recipe)
        prepared = mixture.whole
        if state.is_main_process:
            _claim(recipe, mixture, start)
            memory.show(memory.estimate(fitted), fitted)
    check_splits(prepared)
    with state.main_process_first():
        if state.is_main_process:
            remove_incomplete(recipe.output / CHECKPOINTS)
        checkpoint = last_checkpoint(recipe.output / CHECKPOINTS)
    if checkpoint:
        check_whole(checkpoint, state.num_processes)
    captioner = trainable(recipe, prepared, "cpu" if is_sharded() else str(state.device))  # then a part goes to each
    cut = _cut_captions(captioner, recipe, prepared)
    if start:
        start_from(captioner, start["adapter"])
    counts = adapters.count_parameters(captioner)
    if state.is_main_process:
        print(adapters.describe(counts))
        for split, ids in cut.items():
            print(f"  {len(ids):>9,}  captions of {split} are longer than the model reads and cut, such as {ids[0]}")
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(recipe.output / "tensorboard")
    trainer = build_trainer(fitted, captioner, prepared, state.num_processes)
    trainer.add_callback(Tracking(recipe, mixture, trainer.judge))
    clock = StepClock()
    trainer.add_callback(clock)
    started = time.perf_counter()
    _fit(trainer, checkpoint)
    spent = "train_since_resume_s" if checkpoint else "train_s"
    times = {spent: time.perf_counter() - started} | ({"step_s": clock.median} if clock.seconds else {})
    with writing(recipe.output / CHECKPOINTS):
        trainer.save_model(str(recipe.output / MODEL_FOLDER))
    if state.is_main_process:
        captioner.processor.save_pretrained(recipe.output / MODEL_FOLDER)
        (recipe.output / MODEL_FOLDER / "training_args.bin").unlink()
        (recipe.output / MODEL_FOLDER / "README.md").unlink(missing_ok=True)  # PEFT's, which says nothing
        record = _record(recipe, recipe_path, trainer, counts) | {"times": times, "cut_captions": cut, START: start}
        record["micro_batch_size"] = micro_batch_size
        data = {"catalogue_fingerprint": prepared.account["fingerprint"], "mixture": prepared.account.get("mixture")}
        write_training(recipe.output, record | data)
        remove_others(recipe.output / CHECKPOINTS, {f"checkpoint-{trainer.state.best_global_step}"})
    state.wait_for_everyone()
    return recipe.output


def _claim(recipe: Recipe, mixture: Mixture, start: dict[str, Any] | None) -> None:
    """Make the output this recipe's, with what it is trained on and from."""
    claim_output(recipe, mixture.whole, start)
    for part, folder in mixture.folders(recipe.output):
        write_references(part, folder)
    print(mixture.describe())
    keep_trained_on(recipe.output, mixture.whole, start)
    ensure_base(recipe, mixture.whole)


def trainable(recipe: Recipe, prepared: Prepared, device: str) -> Captioner:
    """The recipe's model on `device`, with its adapters. Raises `UserError` where it cannot read what it is taught."""
    set_seed(recipe.training.seed)  # making a tiny base, where it did not stand, drew from the generator
    captioner = captioner_class(recipe.model.family).load(recipe.model, device)
    prompt = captioner.prompt_of(recipe.prompt)
    check_length(recipe.decoding, captioner.room(prompt))
    check_padding(captioner, prompt, recipe.labels, prepared.splits["train"]["caption"])
    adapters.attach(captioner, recipe.tune, recipe.lora)
    if recipe.training.gradient_checkpointing:
        checkpoint_towers(captioner, recipe.tune)
    return captioner


def _fit(trainer: CaptionTrainer, checkpoint: Path | None) -> None:
    """Train to the end. Told to end by a signal, raises `SystemExit` with 128 + its number, the checkpoint written."""
    try:
        with trainer.interruption.listening():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except UserError as error:  # a worker process puts its traceback before the message
        raise UserError(str(error).rpartition("UserError: ")[2]) from None
    finally:
        trainer.end_progress()
    number = trainer.interruption.agreed
    if number:
        trainer.accelerator.print(
            f"{signal.Signals(number).name}: stopped after step {trainer.state.global_step}; its checkpoint stands in "
            f"{trainer.args.output_dir}. Go on by the same command with --resume",
            file=sys.stderr,
        )
        raise SystemExit(128 + number)
    if trainer.interruption.told:
        name = signal.Signals(trainer.interruption.told).name
        trainer.accelerator.print(f"{name}: came after the last step; the training is finished", file=sys.stderr)


def ensure_base(recipe: Recipe, prepared: Prepared) -> None:
    """Make the tiny base model a recipe asks for, where it does not stand yet."""
    if recipe.model.tiny is not None:
        texts = list(prepared.splits["train"]["caption"])
        make_tiny(recipe.model.family, recipe.model.tiny, texts, Path(recipe.model.base))


def build_trainer(recipe: Recipe, captioner: Any, prepared: Prepared, processes: int) -> CaptionTrainer:
    """The trainer of a recipe; photos are decoded and augmented as batches are made."""
    augmenter = Augmenter(recipe.augmentation) if recipe.augmentation != type(recipe.augmentation)() else None
    prompt = captioner.prompt_of(recipe.prompt)
    return CaptionTrainer(
        model=captioner.model,
        args=training_arguments(recipe.training, recipe.output / CHECKPOINTS, processes, recipe.evaluation),
        train_dataset=prepared.splits["train"],
        eval_dataset=prepared.splits["validation"],
        data_collator=CaptionCollator(captioner, prompt, recipe.labels),
        eval_collator=CaptionCollator(captioner, prompt),
        judge=judge_of(recipe, captioner, prepared.splits["validation"]),
        callbacks=[early_stopping(recipe.training)],
        optimization=recipe.training,
        tower_of=lambda name: captioner.tower_of(name.removeprefix(adapters.PEFT_PREFIX)),
        augmenter=augmenter,
    )


def _cut_captions(captioner: Any, recipe: Recipe, prepared: Prepared) -> dict[str, list[str]]:
    """Split to ids of captions that are longer than the model reads."""
    prompt = captioner.prompt_of(recipe.prompt)
    splits = {name: prepared.splits[name] for name in ("train", "validation")}
    cut = {name: too_long(captioner, prompt, data["caption"]) for name, data in splits.items()}
    return {name: splits[name].select(rows)["id"][:] for name, rows in cut.items() if rows}


def _record(recipe: Recipe, path: str | None, trainer: Any, counts: Any) -> dict[str, Any]:
    kept = ("step", "epoch", "loss", "learning_rate")
    history = [
        {key: value for key, value in entry.items() if key in kept or key.startswith("eval_")}
        for entry in trainer.state.log_history
    ]
    validations = {entry["step"]: entry["eval_loss"] for entry in history if "eval_loss" in entry}
    return {
        "recipe": recipe_values(recipe),
        "recipe_path": path,
        "loss_history": [entry for entry in history if "loss" in entry or "eval_loss" in entry],
        "best": {"of": recipe.evaluation.best, "value": trainer.state.best_metric},
        "best_validation_loss": validations.get(trainer.state.best_global_step),
        "best_step": trainer.state.best_global_step,
        "parameters": counts,
        "versions": versions(),
        "hardware": hardware(),
        "processes": PartialState().num_processes,
        "git": git_hash(),
        "seed": recipe.training.seed,
        "threads": torch.get_num_threads(),
    }
