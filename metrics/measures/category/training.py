"""Fine-tuning a text encoder to predict the category of a caption, by transformers' Trainer. Imports torch."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.files import read_json_object
from metrics.common.screen import progress
from metrics.measures.category.confusion import by_slice
from metrics.measures.category.examples import Example, Examples
from metrics.measures.category.model import TextClassifier, load_base
from metrics.measures.category.settings import ClassifierSettings
from metrics.measures.category.tiny_bert import make_tiny_bert

WARMUP = 0.1
_TORCH_FILES = "inline_container"  # the part of torch that writes checkpoints, as its errors name it


def open_base(train: Examples, settings: ClassifierSettings) -> TextClassifier:
    """Load or make the encoder, under a new head for the categories of `train`.

    Raises:
        UserError: when it cannot be used.
    """
    set_seed(settings.seed)
    if settings.tiny:
        with temporary_folder() as folder:
            classifier = load_base(str(make_tiny_bert(train, folder, settings.seed)), train.categories)
    else:
        classifier = load_base(settings.base, train.categories)
    set_head_dropout(classifier.model, settings)
    return classifier


def fit(
    classifier: TextClassifier, train: Examples, validation: Examples, settings: ClassifierSettings, work: Path
) -> list[float]:
    """Train, resuming from the last checkpoint in `work`, and give `classifier` the weights of the best epoch.

    Returns the validation accuracy (0..1) after each epoch.

    Raises:
        UserError: when training diverges, or its last checkpoint is damaged.
    """
    trainer = CategoryTrainer(classifier, train, validation, training_arguments(settings, work))
    _remove_cut_off_checkpoints(work)
    _train(trainer, get_last_checkpoint(str(work)) if work.is_dir() else None)
    return [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]


def _train(trainer: Trainer, last: str | None) -> None:
    """Train, from the checkpoint `last` if there is one. Raises `UserError` if its files are damaged."""
    remedy = f"remove {last}, and run it again"
    if last is not None:
        read_json_object(Path(last) / "trainer_state.json", remedy)
    try:
        trainer.train(resume_from_checkpoint=last)
    except (UnpicklingError, EOFError, SafetensorError) as error:  # of a file that was cut off or overwritten
        raise UserError(f"{last}: cannot be resumed from ({error!s:.200}); {remedy}") from error


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the errors of libraries that cannot write into a `UserError` that names the folder."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and _TORCH_FILES not in str(error):
            raise
        raise UserError(
            f"{folder}: the classifier cannot be written there or to {gettempdir()}: {error}; make room and run it "
            "again to resume"
        ) from error


class CategoryTrainer(Trainer):  # type: ignore[misc]
    """Trainer on distinct pairs of caption and category, each weighted by how often it comes.

    Weights have mean 1 over the D distinct pairs, so that the mean loss of an epoch's captions,
    1/D sum(weight x cross-entropy), is the mean cross-entropy of all N rows.
    """

    def __init__(
        self, classifier: TextClassifier, train: Examples, validation: Examples, arguments: TrainingArguments
    ) -> None:
        super().__init__(
            model=classifier.model,
            args=arguments,
            train_dataset=weighted(classifier, train),
            eval_dataset=validation,
            data_collator=self._collate,
            callbacks=[_Progress()],
        )
        self.remove_callback(PrinterCallback)
        self.classifier = classifier

    def _collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        labels = torch.tensor([row["label"] for row in rows])
        weights = torch.tensor([row["weight"] for row in rows])
        return self.classifier.pad([row["input_ids"] for row in rows]) | {"labels": labels, "weights": weights}

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean over the batch of weight x cross-entropy."""
        features = {name: value for name, value in inputs.items() if name not in ("labels", "weights")}
        return weighted_loss(model(**features).logits.float(), inputs["labels"], inputs["weights"])

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Share of the validation rows whose category is predicted."""
        rows = (self.eval_dataset if eval_dataset is None else eval_dataset).rows
        metrics = {f"{metric_key_prefix}_accuracy": accuracy(self.classifier, rows, "validation")["all"]}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def weighted(classifier: TextClassifier, examples: Examples) -> list[dict[str, Any]]:
    """Return the distinct pairs, encoded, with their label's number and a weight (mean 1) by their count."""
    numbers = {label: number for number, label in enumerate(classifier.labels)}
    mean = len(examples.rows) / len(examples.counts)
    encoded = classifier.encode([caption for caption, _ in examples.counts])
    return [
        {"input_ids": ids, "label": numbers[category], "weight": count / mean}
        for ids, ((_, category), count) in zip(encoded, examples.counts.items(), strict=True)
    ]


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean of weight x cross-entropy of logits (n, C), labels (n,) and weights (n,)."""
    return (weights * cross_entropy(logits, labels, reduction="none")).mean()


def accuracy(classifier: TextClassifier, rows: Sequence[Example], title: str) -> dict[str, float]:
    """Return the share of rows whose category is predicted, by slice; a category that training lacks never is."""
    best = classifier.rank([row.caption for row in rows], title)[:, 0]
    hits = [float(classifier.labels[number] == row.category) for number, row in zip(best, rows, strict=True)]
    return by_slice(np.array(hits), [row.seen for row in rows])


def set_head_dropout(model: Any, settings: ClassifierSettings) -> None:
    """Set the dropout of every part of `model` outside its encoder.

    Raises:
        UserError: when the head has none and a dropout is asked for.
    """
    trunk = f"{model.base_model_prefix}."
    layers = [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Dropout) and not name.startswith(trunk)
    ]
    if settings.dropout and not layers:
        raise UserError(f"{settings.base}: {type(model).__name__} has no dropout before its head; give --dropout 0")
    for layer in layers:
        layer.p = settings.dropout


def training_arguments(settings: ClassifierSettings, folder: Path) -> TrainingArguments:
    """Return Adam with a linear warm-up over a tenth of the steps and linear decay, without weight decay."""
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=WARMUP,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_accuracy",
        greater_is_better=True,
        logging_strategy="no",
        seed=settings.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )


class _Progress(TrainerCallback):  # type: ignore[misc]
    """One bar over all steps, with the last validation accuracy."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        done = state.global_step
        self.bar = progress(None, "classifier", total=state.max_steps, initial=done, unit="step")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update()

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Mapping[str, float], **kwargs: Any) -> None:
        self.bar.set_postfix(validation=f"{metrics['eval_accuracy']:.1%}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.close()


def _remove_cut_off_checkpoints(folder: Path) -> None:
    """Remove the checkpoints that were being written when a training ended; `trainer_state.json` is written last."""
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / "trainer_state.json").is_file():
            shutil.rmtree(checkpoint)
