"""Training: transformers' Trainer with a loss on caption tokens alone and an exact validation loss."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainingArguments

from finetune.batching import IGNORED
from finetune.config import Judging, Training
from finetune.judging import Judge, best_metric
from metrics.errors import UserError


class CaptionTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose losses are per caption token: over the whole batch in training, over the whole split in validation.

    Logits are made only for the positions that carry a label, and none are kept.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, *args: Any, eval_collator: Any, judge: Judge | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.judge = judge
        self.model_accepts_loss_kwargs = True
        self.eval_collator = eval_collator

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """As Trainer's, with the collator that augments nothing."""
        training_collator: Any = self.data_collator
        self.data_collator: Any = self.eval_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training_collator

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """As Trainer's; a checkpoint of a whole model is written so that Trainer can load it."""
        whole = isinstance(self.model, PreTrainedModel)
        checkpoint = Path(output_dir or "").parent == Path(self.args.output_dir)
        with names_as_in_memory(self.model) if whole and checkpoint else nullcontext():
            super()._save(output_dir, state_dict)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Raise `UserError` where a checkpoint did not give back every weight; Trainer only warns."""
        lost = {*load_result.missing_keys} - {*self.model.all_tied_weights_keys} | {*load_result.unexpected_keys}
        if lost:
            raise UserError(
                f"{self.args.output_dir}: {len(lost)} weights of the checkpoint do not fit the model, for example "
                f"{min(lost)}; was it written by another version? Remove the run's folder and train again"
            )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Summed token losses over the number of labelled tokens of the whole (accumulated, global) batch."""
        losses, counts = caption_losses(model, inputs)
        loss = losses.sum() / (counts.sum() if num_items_in_batch is None else num_items_in_batch)
        return loss if num_items_in_batch is None else loss * self.accelerator.num_processes

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As Trainer's; a loss that is no number ends the training. Raises `UserError`."""
        self._refuse_divergence(logs.get("loss", 0.0))
        super().log(logs, *args, **kwargs)

    def _refuse_divergence(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is {loss} at step {self.state.global_step}: training has diverged; lower "
                f"training.learning_rate. Checkpoints from before stand in {self.args.output_dir}"
            )

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean loss over all caption tokens of the split, each item once on any number of devices, and judged scores.

        Training goes on with the random numbers that it would have had without an evaluation.
        """
        self.model.eval()
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            loss = self._validation_loss(eval_dataset)
            self._refuse_divergence(loss)
            scores = self.judge.judge(self.state.global_step) if self.judge else {}
        named = {"loss": loss} | {name.lower(): value for name, value in scores.items()}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in named.items()}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _validation_loss(self, eval_dataset: Any) -> float:
        total, tokens = 0.0, 0
        for batch in self.get_eval_dataloader(eval_dataset):
            with torch.inference_mode():
                losses, counts = caption_losses(self.model, self._prepare_inputs(batch))
            losses, counts = self.accelerator.gather_for_metrics((losses, counts))
            total, tokens = total + float(losses.double().sum()), tokens + int(counts.sum())
        return total / tokens


@contextmanager
def names_as_in_memory(model: Any) -> Iterator[None]:
    """Let `save_pretrained` keep the names that weights have in memory.

    transformers writes a model in the layout of its first release, Trainer loads a checkpoint by the names in memory:
    where they differ, as LLaVA's do, it would load nothing and only warn.
    """
    model.save_pretrained = partial(type(model).save_pretrained, model, save_original_format=False)
    try:
        yield
    finally:
        del model.save_pretrained


def caption_losses(model: Any, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Per item: summed cross-entropy (n,) of its labelled tokens, in float32, and how many they are (n,)."""
    labels = inputs["labels"]
    first = int((labels != IGNORED).any(0).nonzero()[0])
    kept = labels.shape[1] - first + 1
    features = {name: value for name, value in inputs.items() if name != "labels"}
    logits = model(**features, logits_to_keep=kept).logits[:, -kept:-1].float()
    targets = labels[:, first:]
    losses = cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none").sum(1)
    return losses, (targets != IGNORED).sum(1)


def training_arguments(
    config: Training,
    folder: Path,
    world_size: int,
    judging: Judging = Judging(),  # noqa: B008
) -> TrainingArguments:
    """The recipe's optimisation in Trainer's words. Raises `UserError` where the batch cannot be divided."""
    per_step = config.micro_batch_size * world_size
    if config.batch_size % per_step:
        raise UserError(
            f"training.batch_size: {config.batch_size} is no multiple of micro_batch_size x devices = "
            f"{config.micro_batch_size} x {world_size}"
        )
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.micro_batch_size,
        per_device_eval_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=config.batch_size // per_step,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr": config.minimum_learning_rate},
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=best_metric(judging),
        greater_is_better=judging.best != "loss",
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


def early_stopping(config: Training) -> EarlyStoppingCallback:
    """Stop after `patience` validations without a better loss, or the measure that the recipe names."""
    return EarlyStoppingCallback(early_stopping_patience=config.patience)
