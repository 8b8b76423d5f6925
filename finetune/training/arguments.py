"""The recipe's optimisation as arguments of transformers' Trainer."""

from pathlib import Path

import torch
from transformers import TrainingArguments

from finetune.config.recipe import CaptionEvaluation, Training
from finetune.training.caption_evaluation import best_metric
from metrics.common.errors import UserError


def training_arguments(
    training: Training, folder: Path, world_size: int, evaluation: CaptionEvaluation | None = None
) -> TrainingArguments:
    """Trainer's arguments, with checkpoints in `folder`. Raises `UserError` if the batch cannot be divided."""
    every = evaluation.every if evaluation else None
    per_step = training.micro_batch_size * world_size
    if training.batch_size % per_step:
        raise UserError(
            f"training.batch_size: {training.batch_size} is no multiple of micro_batch_size x devices = "
            f"{training.micro_batch_size} x {world_size}"
        )
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        max_steps=training.max_steps or -1,
        optim="paged_adamw_8bit" if training.optimizer == "paged-adamw-8bit" else "adamw_torch",
        per_device_train_batch_size=training.micro_batch_size,
        per_device_eval_batch_size=training.micro_batch_size,
        gradient_accumulation_steps=training.batch_size // per_step,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        eval_strategy="steps" if every else "epoch",
        save_strategy="steps" if every else "epoch",
        eval_steps=every,
        save_steps=every or 1,
        restore_callback_states_from_checkpoint=True,
        load_best_model_at_end=True,
        metric_for_best_model=best_metric(evaluation),
        greater_is_better=evaluation is not None and evaluation.best != "loss",
        logging_steps=10,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        seed=training.seed,
        dataloader_num_workers=training.workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to=training.tracker,
        ddp_find_unused_parameters=False,
    )
    # One process trains on one device; Trainer would use all that it sees, each with a micro-batch of its own.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
