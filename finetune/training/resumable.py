"""transformers' Trainer, with whole checkpoints that are resumed exactly, and an end by signals or divergence."""

import math
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import ProgressCallback, Trainer

from finetune.training import checkpoints
from finetune.training.interruption import Interruption
from metrics.common.errors import UserError, is_overflow

UNLOGGED = "unlogged_loss"  # beside the states of callbacks, where earlier versions ignore it
# Checkpoints keep the state of callbacks by class name; those of earlier versions by these old names.
RENAMED_CALLBACKS = {"EarlyStopping": "ResumableEarlyStopping"}


class ResumableTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose checkpoints are visible only as a whole, and which a signal ends after one more.

    A training that is resumed from its last checkpoint has the losses and weights of one that nothing interrupted, if
    no batch draws from the global random generators. Raises `UserError` as soon as a loss is not finite.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.interruption = Interruption()
        self.add_callback(self.interruption)
        self._hidden: Path | None = None
        self._step_loss: torch.Tensor | float = 0.0
        self._unlogged: Mapping[str, Any] | None = None

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """As Trainer's; before the optimizer moves, all processes agree whether to continue. Raises `UserError`."""
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._step_loss = self._step_loss + loss
        if self.accelerator.sync_gradients:
            number = torch.tensor(float(self.interruption.received), device=loss.device)
            losses, signals = self.accelerator.gather(torch.stack([self._step_loss, number])[None]).unbind(1)
            self._step_loss = 0.0
            self.interruption.agreed = int(signals.max())
            mean = float(losses.mean())
            if not math.isfinite(mean):
                raise self.failed_step(mean, num_items_in_batch)
        return loss

    def failed_step(self, loss: float, items: Any) -> UserError:
        """What is wrong with a step whose loss is not finite; `items` is Trainer's count of the labels in its batch."""
        return self.diverged(loss, f"at step {self.state.global_step + 1}")

    def diverged(self, loss: float, where: str) -> UserError:
        """The message about a loss that is not finite."""
        return UserError(f"the loss is {loss} {where}: training has diverged. {self.way_out()}")

    def way_out(self) -> str:
        """What to do about a training that diverges."""
        return "Begin again with a lower training.learning_rate and another output=FOLDER"

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """As Trainer's, with the losses that the checkpoint kept; nothing if it was the run's end."""
        if self._unlogged:
            self._tr_loss += self._unlogged["sums"][self.args.process_index]
            self._globalstep_last_logged = self._unlogged["last_logged_step"]
            self._unlogged = None
        if self.control.should_training_stop:
            return
        try:
            super()._run_epoch(*args, **kwargs)
        except RuntimeError as error:
            if not is_overflow(error):
                raise
            step = self.state.global_step + 1
            message = f"step {step} is larger than a float can be: training has diverged. {self.way_out()}"
            raise UserError(message) from error

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

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Raise `UserError` if a checkpoint did not restore every weight; Trainer only warns."""
        tied = getattr(self.model, "all_tied_weights_keys", ())
        lost = {*load_result.missing_keys} - {*tied} | {*load_result.unexpected_keys}
        if lost:
            raise UserError(
                f"{self.args.output_dir}: {len(lost)} weights of the checkpoint do not fit the model, for example "
                f"{min(lost)}; was it written by another version? Resume with that one, or choose another output=FOLDER"
            )


def resumed_from(folder: Path, state: PartialState) -> Path | None:
    """The checkpoint in `folder` to resume from, if there is one. Raises `UserError` if it is not whole."""
    with state.main_process_first():
        if state.is_main_process:
            checkpoints.remove_incomplete(folder)
        checkpoint = checkpoints.last_checkpoint(folder)
    if checkpoint:
        checkpoints.check_whole(checkpoint, state.num_processes)
    return checkpoint


def train_to_end(trainer: ResumableTrainer, checkpoint: Path | None) -> None:
    """Train from `checkpoint`, or from the start.

    If a signal ends it, writes a checkpoint and raises `SystemExit` with 128 + its number. Raises `UserError` if
    training diverges, or a checkpoint cannot be read or written.
    """
    try:
        with trainer.interruption.listening():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except UserError as error:  # a worker process puts its traceback before the message
        raise UserError(str(error).rpartition("UserError: ")[2]) from error
    finally:
        _end_progress(trainer)
    _end_if_interrupted(trainer)


def _end_progress(trainer: ResumableTrainer) -> None:
    """End the line of a progress bar that was interrupted."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, ProgressCallback) and callback.training_bar:
            callback.training_bar.close()


def _end_if_interrupted(trainer: ResumableTrainer) -> None:
    number = trainer.interruption.agreed
    if number:
        trainer.accelerator.print(
            f"{signal.Signals(number).name}: stopped after step {trainer.state.global_step}; its checkpoint is in "
            f"{trainer.args.output_dir}. To resume, {checkpoints.RESUME}",
            file=sys.stderr,
        )
        raise SystemExit(128 + number)
    if trainer.interruption.received:
        name = signal.Signals(trainer.interruption.received).name
        trainer.accelerator.print(f"{name}: came after the last step; the training is finished", file=sys.stderr)
