"""A training run from recipe to saved model."""

import os
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainingArguments, set_seed

from finetune.config.recipe import Augmentation, Decoding, Labels, Lora, Model, Recipe, Training, Tune
from finetune.data.mixture import Mixture, prepare_all
from finetune.data.preparation import Prepared, write_tables
from finetune.models import adapters
from finetune.models.adapter_files import CONFIG, record_packaged_base, start_from, starting_point
from finetune.models.families import captioner_class
from finetune.models.families.base import Captioner
from finetune.models.generation import carry_decoding, check_length
from finetune.models.gradient_checkpointing import checkpoint_towers
from finetune.models.loading import is_sharded, local_folder
from finetune.models.memory import estimate as memory
from finetune.models.processor_files import save_processor
from finetune.models.tiny import make_tiny
from finetune.runs.claim import claim_output, is_finished, own_output, recipe_values, refuse_other_start
from finetune.runs.exposure import keep_trained_on, with_exposure
from finetune.runs.folder import RunFolder
from finetune.runs.processes import distributed, locked, say_once
from finetune.runs.provenance import git_hash, hardware, versions
from finetune.training.arguments import training_arguments
from finetune.training.augmentation import Augmenter
from finetune.training.callbacks import ResumableEarlyStopping, StepClock, Tracking
from finetune.training.caption_evaluation import CaptionEvaluator
from finetune.training.checkpoints import remove_others, writing
from finetune.training.collator import CaptionCollator, check_padding, too_long
from finetune.training.micro_batch import fitting, with_micro_batch
from finetune.training.preflight import check_recipe, check_splits
from finetune.training.resumable import resumed_from, train_to_end
from finetune.training.stored_features import FeatureRows, show_disk, store_features
from finetune.training.trackers import facts_of, open_tracker
from finetune.training.trainer import CaptionTrainer
from metrics.common.formatting import printable
from metrics.common.screen import say
from metrics.records.run import TrainingRecord


def train(
    recipe: Recipe, recipe_path: str | None = None, *, resume: bool = False, init_from: str | None = None
) -> Path:
    """Fine-tune by the recipe, on all processes that `accelerate launch` started.

    Begins from the adapter `init_from` (its folder, its run's, a Hub id) if one is given.
    Keeps the weights best by `evaluation.best` in `<output>/model`, and the record in `<output>/training.json`.
    Returns the run's folder. Raises `UserError` if recipe, data or model do not fit.
    """
    state = distributed()
    check_recipe(recipe, state.num_processes)
    start = with_exposure(starting_point(recipe.model, recipe.tune, recipe.lora, init_from))
    with state.main_process_first():
        finished = is_finished(recipe, resume=resume or not state.is_main_process)
        refuse_other_start(recipe, start)
    if finished:
        say_once(f"{recipe.output}: this recipe is trained already")
        return recipe.output
    if state.is_main_process:
        own_output(recipe)
    run = RunFolder(recipe.output)
    if resume and not run.recipe.exists():
        say_once(f"nothing to resume in {run.path}: training begins")
    with locked(run.path) if state.is_main_process else nullcontext():
        return fitting(
            recipe.training, run, state.num_processes, lambda size: _train(recipe, recipe_path, state, size, start)
        )


def _train(
    recipe: Recipe, recipe_path: str | None, state: PartialState, micro_batch_size: int, start: dict[str, Any] | None
) -> Path:
    run = RunFolder(recipe.output)
    fitted = recipe.model_copy(update={"training": with_micro_batch(recipe.training, micro_batch_size)})
    mixture = _prepare(fitted, recipe, state, start)
    checkpoint = resumed_from(run.checkpoints, state)
    device = "cpu" if is_sharded() else str(state.device)  # weights that are sharded go from there to each device
    captioner = trainable(recipe.model, recipe.tune, recipe.lora, fitted.training, device)
    prompt = captioner.prompt_of(recipe.prompt)
    check_texts(captioner, prompt, recipe.decoding, recipe.labels, mixture.whole)
    cut = _cut_captions(captioner, prompt, mixture.whole)
    if start:
        start_from(captioner, start["adapter"])
    counts = adapters.count_parameters(captioner)
    if state.is_main_process:
        for part in mixture.parts.values():
            if captioner.crops and part.account.outside_middle_square:
                print(part.account.unseen_note(), file=sys.stderr)
        for split, ids in cut.items():
            note = f"  {len(ids):>9,}  captions of {split} are longer than the model reads and cut, such as {ids[0]}"
            print(printable(note), file=sys.stderr)
    trainer = _trainer(recipe, fitted.training, captioner, prompt, mixture.whole, state)
    tracker = open_tracker(recipe.training.tracker, run) if state.is_main_process else None
    if tracker:
        trainer.add_callback(Tracking(tracker, facts_of(recipe_values(recipe), mixture, run), trainer.evaluator))
    times = _fit(trainer, checkpoint)
    record = replace(
        _record(recipe, recipe_path, trainer, counts),
        times=times,
        cut_captions=cut,
        init_from=start or {},
        micro_batch_size=micro_batch_size,
        **mixture.whole.account.for_training_record(),
    )
    _save(trainer, captioner, recipe, record)
    state.wait_for_everyone()
    return run.path


def _prepare(fitted: Recipe, recipe: Recipe, state: PartialState, start: dict[str, Any] | None) -> Mixture:
    """The data, prepared by the first process, which makes the output this run's and prints the memory to expect."""
    with state.main_process_first():
        mixture = prepare_all(recipe.catalogues, recipe.training.seed)
        if state.is_main_process:
            _claim(recipe, mixture, start)
            estimated = memory.estimate(fitted)
            memory.show(estimated)
            show_disk(estimated.stored, mixture.whole)
    check_splits(mixture.whole)
    return mixture


def _save(trainer: CaptionTrainer, captioner: Captioner, recipe: Recipe, record: TrainingRecord) -> None:
    """Keep the model, its processor and the record; of the checkpoints only the best remains."""
    run = RunFolder(recipe.output)
    carry_decoding(captioner, recipe.decoding)
    with writing(run.checkpoints):
        trainer.save_model(str(run.model))
    if not trainer.args.should_save:
        return
    save_processor(captioner.processor, run.model, local_folder(recipe.model))
    (run.model / "training_args.bin").unlink()
    (run.model / "README.md").unlink(missing_ok=True)  # PEFT's, an empty form
    if (run.model / CONFIG).is_file():
        record_packaged_base(run.model)
    record.write(run.training)
    remove_others(run.checkpoints, {f"checkpoint-{trainer.state.best_global_step}"})


def _claim(recipe: Recipe, mixture: Mixture, start: dict[str, Any] | None) -> None:
    """Make the output this recipe's, and record what it is trained on and from."""
    claim_output(recipe, mixture.whole.account.fingerprint, start)
    for part, folder in mixture.folders(recipe.output):
        write_tables(part, folder)
    say(mixture.describe())
    keep_trained_on(recipe.output, mixture.whole, start)
    ensure_base(recipe, mixture.whole)


def trainable(model: Model, tune: Tune, lora: Lora, training: Training, device: str) -> Captioner:
    """The model on `device`, with its adapters."""
    set_seed(training.seed)  # the making of a tiny base, if it was missing, drew from the generator
    captioner = captioner_class(model.family).load(model, device)
    adapters.attach(captioner, tune, lora, model.revision)
    if training.gradient_checkpointing:
        checkpoint_towers(captioner, tune)
    return captioner


def check_texts(captioner: Captioner, prompt: str, decoding: Decoding, labels: Labels, prepared: Prepared) -> None:
    """Raise `UserError` if the model cannot read texts of the length that it is to write or be taught."""
    check_length(decoding, captioner.room(prompt))
    check_padding(captioner, prompt, labels, prepared.splits["train"]["caption"])


def _fit(trainer: CaptionTrainer, checkpoint: Path | None) -> dict[str, float]:
    """Train to the end and return the seconds that it took, and those of a step.

    Raises `SystemExit` if a signal ends it, as `train_to_end`.
    """
    clock = StepClock()
    trainer.add_callback(clock)
    started = time.perf_counter()
    train_to_end(trainer, checkpoint)
    name = "train_since_resume_s" if checkpoint else "train_s"
    return {name: time.perf_counter() - started} | ({"step_s": clock.median} if clock.seconds else {})


def ensure_base(recipe: Recipe, prepared: Prepared) -> None:
    """Make the tiny base model that the recipe asks for, if it is missing."""
    if recipe.model.tiny is not None:
        texts = list(prepared.splits["train"]["caption"])
        make_tiny(recipe.model.family, recipe.model.tiny, texts, Path(recipe.model.base))


def build_trainer(
    captioner: Captioner,
    prompt: str,
    prepared: Prepared,
    arguments: TrainingArguments,
    training: Training,
    labels: Labels,
    augmentation: Augmentation,
    evaluator: CaptionEvaluator | None = None,
    features: Path | None = None,
) -> CaptionTrainer:
    """The trainer of a captioner; photos are decoded and augmented as batches are made.

    Of a family that can, a frozen encoder's features of photos as they are come from a store in the folder `features`
    (default: in the cache).
    """
    train, validation = prepared.splits["train"], prepared.splits["validation"]
    if captioner.stored_features and augmentation != Augmentation():
        say_once("augmentation changes photos: the photo encoder reads all in each epoch, no features are stored")
    elif captioner.stored_features:
        with PartialState().main_process_first():
            store = store_features(captioner, [train, validation], features)
        train, validation = FeatureRows(train, store), FeatureRows(validation, store)
    return CaptionTrainer(
        model=captioner.model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=CaptionCollator(captioner, prompt, labels),
        eval_collator=CaptionCollator(captioner, prompt),
        evaluator=evaluator,
        callbacks=[ResumableEarlyStopping(training.patience)],
        optimization=training,
        tower_of=lambda name: captioner.tower_of(name.removeprefix(adapters.PEFT_PREFIX)),
        augmenter=Augmenter(augmentation) if augmentation != Augmentation() else None,
    )


def _trainer(
    recipe: Recipe, training: Training, captioner: Captioner, prompt: str, prepared: Prepared, state: PartialState
) -> CaptionTrainer:
    """The run's trainer, with the evaluator that the recipe asks for; `training` has the micro-batch that fits."""
    run, evaluation = RunFolder(recipe.output), recipe.evaluation
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(run.tensorboard)
    arguments = training_arguments(training, run.checkpoints, state.num_processes, evaluation)
    evaluator = None
    if evaluation.captions:
        validation = prepared.splits["validation"]
        evaluator = CaptionEvaluator(
            captioner, prompt, evaluation, recipe.decoding, validation, run.evaluation, training.seed
        )
    return build_trainer(
        captioner, prompt, prepared, arguments, training, recipe.labels, recipe.augmentation, evaluator
    )


def _cut_captions(captioner: Captioner, prompt: str, prepared: Prepared) -> dict[str, list[str]]:
    """Split to ids of captions that are longer than the model reads."""
    splits = {name: prepared.splits[name] for name in ("train", "validation")}
    cut = {name: too_long(captioner, prompt, data["caption"]) for name, data in splits.items()}
    return {name: splits[name].select(rows)["id"][:] for name, rows in cut.items() if rows}


def _record(recipe: Recipe, path: str | None, trainer: Any, counts: adapters.ParameterCounts) -> TrainingRecord:
    kept = ("step", "epoch", "loss", "learning_rate")
    history = [
        {key: value for key, value in entry.items() if key in kept or key.startswith("eval_")}
        for entry in trainer.state.log_history
    ]
    validations = {entry["step"]: entry["eval_loss"] for entry in history if "eval_loss" in entry}
    return TrainingRecord(
        recipe=recipe_values(recipe),
        recipe_path=path,
        loss_history=tuple(entry for entry in history if "loss" in entry or "eval_loss" in entry),
        best={"of": recipe.evaluation.best, "value": trainer.state.best_metric},
        best_validation_loss=validations.get(trainer.state.best_global_step),
        best_step=trainer.state.best_global_step,
        parameters=counts,
        versions=versions(),
        hardware=hardware(),
        processes=PartialState().num_processes,
        git=git_hash(),
        seed=recipe.training.seed,
        threads=torch.get_num_threads(),
    )
