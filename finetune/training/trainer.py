"""Training: transformers' Trainer with a loss on caption tokens alone and an exact validation loss."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback, ProgressCallback

from finetune.config.recipe import Training
from finetune.models.adapter_files import WEIGHTS
from finetune.training import checkpoints
from finetune.training.augmentation import Augmenter
from finetune.training.callbacks import TrainingProgress
from finetune.training.caption_evaluation import CaptionEvaluator, as_printed
from finetune.training.losses import caption_losses
from finetune.training.optimization import rates_of_parameters, schedule, split_groups
from finetune.training.resumable import ResumableTrainer
from finetune.training.sampling import TrainingBatches, TrainingItems, TrainingOrder, ignore_signals
from metrics.common.errors import UserError


class CaptionTrainer(ResumableTrainer):
    """Trainer whose losses are per caption token: over the whole batch in training, over the whole split in validation.

    Logits are made only for the positions that carry a label, and none are kept.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *args: Any,
        eval_collator: Any,
        evaluator: CaptionEvaluator | None = None,
        optimization: Training | None = None,
        tower_of: Callable[[str], str] | None = None,
        augmenter: Augmenter | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        for shown in (ProgressCallback, PrinterCallback):  # which of them is there depends on transformers' verbosity
            self.remove_callback(shown)
        self.add_callback(TrainingProgress())
        self.evaluator = evaluator
        # FSDP wraps these one by one, and BLIP-2 names some that it does not have
        present = {type(module).__name__ for module in self.model.modules()}
        self.model._no_split_modules = sorted(present.intersection(self.model._no_split_modules or ()))
        self.model_accepts_loss_kwargs = True
        self.eval_collator = eval_collator
        self.optimization = optimization or Training()
        self.tower_of = tower_of
        self.augmenter = augmenter
        per_step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        self.order = TrainingOrder(
            len(self.train_dataset),
            per_step,
            self.args.train_batch_size,
            self.args.seed,
            self.args.world_size,
            self.args.process_index,
        )
        if self.args.max_steps > 0:
            self.args.max_steps = min(self.args.max_steps, math.ceil(self.args.num_train_epochs * self.order.steps))

    def get_train_dataloader(self) -> TrainingBatches:
        """The batches of `TrainingOrder`, of which this process gets its share."""
        return TrainingBatches(
            TrainingItems(self.train_dataset, self.augmenter, self.args.seed),
            batch_sampler=self.order,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            worker_init_fn=ignore_signals,
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """As Trainer's, with the collator that augments nothing."""
        training_collator: Any = self.data_collator
        self.data_collator: Any = self.eval_collator
        try:
            batches = super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training_collator
        batches.base_dataloader.worker_init_fn = ignore_signals
        return batches

    def create_optimizer(self, model: Any = None) -> Any:
        """As Trainer's, with a parameter group for each learning rate."""
        if self.optimizer is None:
            split_groups(super().create_optimizer(model), self._rates(self.model if model is None else model))
        return self.optimizer

    def _rates(self, model: Any) -> dict[int, float]:
        if self.tower_of is None:
            return {}
        return rates_of_parameters(model, self.tower_of, self.optimization.learning_rates)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The recipe's learning rates over the steps."""
        if self.lr_scheduler is None:
            self.lr_scheduler: Any = schedule(optimizer or self.optimizer, self.optimization, num_training_steps)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """As Trainer's; a checkpoint of a whole model is written so that Trainer can load it."""
        whole = isinstance(self.model, PreTrainedModel)
        with names_as_in_memory(self.model) if whole and self._hidden else nullcontext():
            super()._save(output_dir, state_dict)

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

    def failed_step(self, loss: float, items: Any) -> UserError:
        """Names the items of the batch; without a label there is no loss."""
        where = f"on the batch of {self._ids()} at step {self.state.global_step + 1}"
        if not items:
            return UserError(f"no token carries a label {where}: there is nothing to learn")
        return self.diverged(loss, where)

    def way_out(self) -> str:
        """What to do: a run with another rate is another run, unless there is no checkpoint yet."""
        last = checkpoints.last_checkpoint(Path(self.args.output_dir))
        if last is None:
            return "No checkpoint was written yet: start again with a lower training.learning_rate"
        other = "train RECIPE output=OTHER training.learning_rate=LOWER"
        from_adapter = f"; to begin from its adapter: {other} --init-from {last}" if (last / WEIGHTS).is_file() else ""
        return f"The last checkpoint from before is {last}. Begin again with a lower rate: {other}{from_adapter}"

    def _ids(self) -> str:
        rows = self.order.rows_of(self.state.global_step)
        return ", ".join(str(self.train_dataset[row].get("id", row)) for row in rows)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As Trainer's; terminal and trackers get measures as reports print them, the record keeps them as they are."""
        if self.state.epoch is not None:
            logs["epoch"] = self.state.epoch
        self.state.log_history.append({**logs, "step": self.state.global_step})
        shown = as_printed(logs, self.evaluator.evaluation.measures if self.evaluator else ())
        self.control: Any = self.callback_handler.on_log(self.args, self.state, self.control, shown)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean loss over all caption tokens of the split, each item once on any number of devices, and caption scores.

        Training continues with the random numbers that it would have had without an evaluation.
        """
        self.model.eval()
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices):
            loss = self._validation_loss(eval_dataset)
            if not math.isfinite(loss):
                raise self.diverged(loss, f"after step {self.state.global_step}")
            scores = self.evaluator.evaluate(self.state.global_step) if self.evaluator else {}
        named = {"loss": loss} | {name.lower(): value for name, value in scores.items()}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in named.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _validation_loss(self, eval_dataset: Any) -> float:
        total, tokens = 0.0, 0
        for batch in self.get_eval_dataloader(eval_dataset):
            with torch.no_grad():  # ZeRO-3 could not train on what it gathered in inference mode
                losses, counts = caption_losses(self.model, self._prepare_inputs(batch))
            losses, counts = self.accelerator.gather_for_metrics((losses, counts))
            total, tokens = total + float(losses.double().sum()), tokens + int(counts.sum())
        return total / tokens


@contextmanager
def names_as_in_memory(model: Any) -> Iterator[None]:
    """Let `save_pretrained` keep the names that weights have in memory.

    transformers writes a model in the layout of its first release, Trainer loads a checkpoint by the names in memory:
    if they differ, as LLaVA's do, it would load nothing and only warn.
    """
    model.save_pretrained = partial(type(model).save_pretrained, model, save_original_format=False)
    try:
        yield
    finally:
        del model.save_pretrained
