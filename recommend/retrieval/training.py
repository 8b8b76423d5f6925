"""Training a composer by transformers' Trainer: weights are kept only when the validation loss falls."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments

from metrics.common.errors import UserError
from metrics.common.screen import say
from recommend.retrieval.composer import Composer
from recommend.retrieval.fashion_iq import Pair
from recommend.retrieval.recipe import Training
from recommend.retrieval.sides import Side


@dataclass(frozen=True)
class Validation:
    """The loss at the end, of batches of `batch_size` pairs; a last smaller one has another chance and is left out.

    Attributes:
        loss: the mean over batches.
        excess: the same less what the labels allow: of soft targets their entropy, of InfoNCE 0.
        chance: ln `batch_size`, the InfoNCE of a model that knows nothing.
        pairs: how many pairs are in these batches.
        batch_size: of a batch.
    """

    loss: float
    excess: float
    chance: float
    pairs: int
    batch_size: int


@dataclass(frozen=True)
class Collator:
    """Pairs with a target to the inputs of `Composer.forward`."""

    photo: Side
    text: Side

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """A batch."""
        return {
            "targets": self.photo.inputs([str(pair.target) for pair in pairs]),
            "references": self.photo.inputs([pair.reference for pair in pairs]),
            "texts": self.text.inputs([pair.text for pair in pairs]),
        }


def fit(
    composer: Composer,
    pairs: Sequence[Pair],
    validation: Sequence[Pair],
    collator: Collator,
    training: Training,
    folder: Path,
) -> tuple[list[dict[str, float]], Validation]:
    """Train `composer`, with checkpoints in `folder`, which is removed at the end.

    Returns the losses as they were logged, and those of the best weights, which the composer then has.
    Raises `UserError` if there are fewer pairs than a batch has, or the loss is not finite.
    """
    for name, some in (("training", pairs), ("validation", validation)):
        if len(some) < training.batch_size:
            raise UserError(
                f"expected at least training.batch_size={training.batch_size} pairs for {name}, found {len(some)}"
            )
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted training left
    order = np.random.default_rng(training.seed).permutation(len(validation))
    shuffled = [validation[place] for place in order]  # neighbours in the file share photos
    trainer = Trainer(
        model=composer,
        args=_arguments(training, folder),
        train_dataset=list(pairs),
        eval_dataset=shuffled,
        data_collator=collator,
        optimizers=(_optimizer(composer, training), None),
        callbacks=[_Lines()],
    )
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    shutil.rmtree(folder)
    if trainer.state.best_metric is None or not math.isfinite(trainer.state.best_metric):
        raise UserError(
            "the validation loss is never a finite number; lower training.learning_rate or encoder_learning_rate"
        )
    kept = [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry]
    return kept, validate(composer, shuffled, collator, training.batch_size)


@torch.inference_mode()
def validate(composer: Composer, pairs: Sequence[Pair], collator: Collator, batch_size: int) -> Validation:
    """The losses of these pairs, in their order."""
    composer.eval()
    losses, device = [], composer.log_scale.device
    whole = len(pairs) // batch_size * batch_size
    for start in range(0, whole, batch_size):
        batch = on_device(collator(pairs[start : start + batch_size]), device)
        one = composer.losses(**batch)
        losses.append((float(one.value), float(one.excess)))
    loss, excess = np.mean(losses, axis=0)
    return Validation(float(loss), float(excess), math.log(batch_size), whole, batch_size)


def on_device(inputs: Any, device: torch.device) -> Any:
    """Tensors, alone or in mappings, on a device."""
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    return {name: on_device(value, device) for name, value in inputs.items()}


def _optimizer(composer: Composer, training: Training) -> torch.optim.Optimizer:
    encoders: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in composer.named_parameters():
        if parameter.requires_grad:
            (encoders if "_encoder." in name else others).append(parameter)
    groups = [{"params": others, "lr": training.learning_rate}]
    if encoders:
        groups.append({"params": encoders, "lr": training.encoder_learning_rate or training.learning_rate})
    return torch.optim.AdamW(groups, lr=training.learning_rate, weight_decay=training.weight_decay)


def _arguments(training: Training, folder: Path) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.batch_size,
        dataloader_drop_last=True,
        lr_scheduler_type=training.schedule,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        label_names=["targets"],  # so that Trainer knows that there is a loss
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=training.seed,
        report_to="none",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # Trainer would use all that it sees, each with a batch of its own
    return arguments


class _Lines(TrainerCallback):  # type: ignore[misc]
    """A line for each epoch."""

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Print both losses."""
        trained = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), float("nan"))
        say(f"epoch {state.epoch:g}: loss {trained:.4f}, validation {metrics['eval_loss']:.4f}")
