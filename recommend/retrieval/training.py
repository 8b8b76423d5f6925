"""Training a composer by transformers' Trainer: weights are kept only when the validation loss falls."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import PrinterCallback, ProgressCallback, TrainerCallback, TrainingArguments

from finetune.training.checkpoints import last_checkpoint
from finetune.training.resumable import ResumableTrainer, resumed_from, train_to_end
from metrics.common.errors import UserError
from metrics.common.screen import say
from recommend.retrieval.composer import Composer
from recommend.retrieval.fashion_iq import Pair
from recommend.retrieval.recipe import Training
from recommend.retrieval.sides import Side

_TIMES = ("_runtime", "_per_second")  # in the logs of Trainer


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


class ComposerTrainer(ResumableTrainer):
    """Trains a composer. Raises `UserError` if a loss is not finite."""

    def way_out(self) -> str:
        """A run with another rate is another run."""
        return "Begin again with a lower training.learning_rate or encoder_learning_rate, and another output"

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """As Trainer's."""
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        if not math.isfinite(metrics["eval_loss"]):
            raise self.diverged(metrics["eval_loss"], f"of validation after step {self.state.global_step}")
        return metrics


def fit(
    composer: Composer,
    pairs: Sequence[Pair],
    validation: Sequence[Pair],
    collator: Collator,
    training: Training,
    folder: Path,
) -> tuple[list[dict[str, float]], Validation]:
    """Train `composer`, from the last checkpoint in `folder` if there is one.

    Returns the losses as they were logged, and those of the best weights, which the composer then has. If a signal
    ends it, writes a checkpoint and raises `SystemExit`. Raises `UserError` if a loss is not finite or a checkpoint
    is damaged; see `check_batches`.
    """
    order = np.random.default_rng(training.seed).permutation(len(validation))
    shuffled = [validation[place] for place in order]  # neighbours in the file share photos
    trainer = ComposerTrainer(
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
    _remove_unresumable(folder)
    train_to_end(trainer, resumed_from(folder, PartialState()))
    history = [entry for entry in trainer.state.log_history if "loss" in entry or "eval_loss" in entry]
    kept = [{name: value for name, value in entry.items() if not name.endswith(_TIMES)} for entry in history]
    return kept, validate(composer, shuffled, collator, training.batch_size)


def check_batches(pairs: Sequence[Pair], validation: Sequence[Pair], batch_size: int) -> None:
    """Raise `UserError` if there are too few pairs for a batch of training or of validation."""
    for name, some in (("training", pairs), ("validation", validation)):
        if len(some) < batch_size:
            raise UserError(f"expected at least training.batch_size={batch_size} pairs for {name}, found {len(some)}")


def _remove_unresumable(folder: Path) -> None:
    """Earlier versions kept the weights alone in checkpoints; a training that these left begins anew."""
    last = last_checkpoint(folder)
    if last and not any((last / name).exists() for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth")):
        say(f"{last}: of an earlier version, which could not resume; training begins from the start")
        shutil.rmtree(folder)


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
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        logging_nan_inf_filter=False,
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
