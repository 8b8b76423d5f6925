"""Training: transformers' Trainer with a loss on caption tokens alone and an exact validation loss."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ProgressCallback, Trainer

from finetune.config.recipe import Training
from finetune.models.adapter_files import WEIGHTS
from finetune.training import checkpoints
from finetune.training.augmentation import Augmenter
from finetune.training.callbacks import RENAMED_CALLBACKS, TrainingProgress
from finetune.training.caption_evaluation import CaptionEvaluator, as_printed
from finetune.training.interruption import Interruption
from finetune.training.losses import caption_losses
from finetune.training.optimization import rates_of_parameters, schedule, split_groups
from finetune.training.sampling import TrainingBatches, TrainingItems, TrainingOrder, ignore_signals
from metrics.common.errors import UserError

UNLOGGED = "unlogged_loss"  # beside the states of callbacks, where earlier versions ignore it


class CaptionTrainer(Trainer):  # type: ignore[misc]
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
        self.remove_callback(ProgressCallback)
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
        self.interruption = Interruption()
        self.add_callback(self.interruption)
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
        self._hidden: Path | None = None
        self._step_loss: torch.Tensor | float = 0.0
        self._unlogged: Mapping[str, Any] | None = None

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

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """As Trainer's, with the losses that the checkpoint kept; nothing if it was the run's end."""
        if self._unlogged:
            self._tr_loss += self._unlogged["sums"][self.args.process_index]
            self._globalstep_last_logged = self._unlogged["last_logged_step"]
            self._unlogged = None
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._hidden or self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As Trainer's, in a hidden folder until it is whole; it also keeps the losses that no log has yet."""
        sums = self.accelerator.gather(self._tr_loss.reshape(1)).tolist()
        unlogged = {"sums": sums, "last_logged_step": self._globalstep_last_logged}
        self.state.stateful_callbacks[UNLOGGED] = unlogged
        folder, step, best = Path(self.args.output_dir), self.state.global_step, self.state.best_global_step
        with checkpoints.writing(folder) as self._hidden:
            super()._save_checkpoint(model, trial)
            written = self._hidden / f"checkpoint-{step}"
            self.state.best_model_checkpoint = str(folder / f"checkpoint-{best}") if best else None
            if self.args.should_save:
                self.state.save_to_json(str(written / checkpoints.STATE_FILE))
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.publish(folder, written.name, f"checkpoint-{best}")
        self._hidden = None
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with checkpoints.reading(Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with checkpoints.reading(Path(str(checkpoint))):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with checkpoints.reading(Path(str(checkpoint))):
            super()._load_rng_state(checkpoint)

    def _load_callback_state(self) -> None:
        """As Trainer's; callbacks that a checkpoint of an earlier version names by their old names are found too."""
        states = self.state.stateful_callbacks
        self._unlogged = states.pop(UNLOGGED, None)
        self.state.stateful_callbacks = {RENAMED_CALLBACKS.get(name, name): state for name, state in states.items()}
        super()._load_callback_state()

    def end_progress(self) -> None:
        """End the line of a progress bar that was interrupted."""
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, ProgressCallback) and callback.training_bar:
                callback.training_bar.close()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """As Trainer's; a checkpoint of a whole model is written so that Trainer can load it."""
        whole = isinstance(self.model, PreTrainedModel)
        with names_as_in_memory(self.model) if whole and self._hidden else nullcontext():
            super()._save(output_dir, state_dict)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Raise `UserError` if a checkpoint did not restore every weight; Trainer only warns."""
        lost = {*load_result.missing_keys} - {*self.model.all_tied_weights_keys} | {*load_result.unexpected_keys}
        if lost:
            raise UserError(
                f"{self.args.output_dir}: {len(lost)} weights of the checkpoint do not fit the model, for example "
                f"{min(lost)}; was it written by another version? Resume with that one, or choose another output=FOLDER"
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

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """As Trainer's; before the optimizer moves, all processes agree whether to continue. Raises `UserError`."""
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._step_loss = self._step_loss + loss
        if self.accelerator.sync_gradients:
            number = torch.tensor(float(self.interruption.received), device=loss.device)
            losses, signals = self.accelerator.gather(torch.stack([self._step_loss, number])[None]).unbind(1)
            self._step_loss = 0.0
            self.interruption.agreed = int(signals.max())
            self._refuse_divergence(float(losses.mean()), int(num_items_in_batch or 0))
        return loss

    def _refuse_divergence(self, loss: float, tokens: int | None = None) -> None:
        """`tokens` are those of a training batch; None in validation."""
        if math.isfinite(loss):
            return
        done = self.state.global_step
        where = f"after step {done}" if tokens is None else f"on the batch of {self._ids()} at step {done + 1}"
        if tokens == 0:
            raise UserError(f"no token carries a label {where}: there is nothing to learn")
        raise UserError(f"the loss is {loss} {where}: training has diverged. {self._way_out()}")

    def _way_out(self) -> str:
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
            self._refuse_divergence(loss)
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
