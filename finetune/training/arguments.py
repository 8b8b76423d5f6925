"""The recipe's optimisation in the words of transformers' Trainer."""

from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainingArguments

from finetune.config.recipe import CaptionEvaluation, Training
from finetune.training.caption_evaluation import best_metric
from metrics.common.errors import UserError


def training_arguments(
    config: Training, folder: Path, world_size: int, evaluation: CaptionEvaluation | None = None
) -> TrainingArguments:
    """The recipe's optimisation in Trainer's words. Raises `UserError` where the batch cannot be divided."""
    every = evaluation.every if evaluation else None
    per_step = config.micro_batch_size * world_size
    if config.batch_size % per_step:
        raise UserError(
            f"training.batch_size: {config.batch_size} is no multiple of micro_batch_size x devices = "
            f"{config.micro_batch_size} x {world_size}"
        )
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        optim="paged_adamw_8bit" if config.optimizer == "paged-adamw-8bit" else "adamw_torch",
        per_device_train_batch_size=config.micro_batch_size,
        per_device_eval_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=config.batch_size // per_step,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
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
        seed=config.seed,
        dataloader_num_workers=config.workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        report_to=config.tracker,
        ddp_find_unused_parameters=False,
    )
    # One process trains on one device; Trainer would spread it over all it sees, each with a micro-batch of its own.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


class EarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """As transformers'; where a checkpoint is a run's last, the run that goes on from it is at its end."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop where the checkpoint's run had stopped."""
        super().on_train_begin(args, state, control, **kwargs)
        waited = self.early_stopping_patience_counter >= self.early_stopping_patience
        control.should_training_stop |= waited or state.global_step >= state.max_steps


def early_stopping(config: Training) -> EarlyStopping:
    """Stop after `patience` validations without a better one."""
    return EarlyStopping(early_stopping_patience=config.patience)
