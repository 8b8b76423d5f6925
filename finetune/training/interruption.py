"""A training that gets a signal to end writes a checkpoint after the current optimizer step, and ends."""

import os
import signal
import time
from contextlib import AbstractContextManager, suppress
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import IntervalStrategy

from finetune.runs.processes import on_ending

PASSED_ON = 2.0  # seconds: Ctrl-C reaches launcher and training, and the launcher passes it on


class Interruption(TrainerCallback):  # type: ignore[misc]
    """Keeps the signal that this process got; the one that all processes `agreed` on stops the training.

    `received` and `agreed` are the signal's number, 0 if there was none.
    """

    def __init__(self) -> None:
        self.received = 0
        self.agreed = 0
        self._since = 0.0

    def listening(self) -> AbstractContextManager[None]:
        """Take the first signal that would end us as a request; another, later than `PASSED_ON`, ends us at once."""
        return on_ending(self._receive)

    def _receive(self, number: int) -> None:
        if not self.received:
            self.received, self._since = number, time.monotonic()
            if PartialState().is_main_process:
                _announce(number)
        elif number != signal.SIGHUP and time.monotonic() - self._since > PASSED_ON:
            os._exit(128 + number)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log what is saved anyway; if interrupted stop, and save unless a validation comes first.

        That checkpoint keeps the losses since the last entry of the history, which so is the one of an uninterrupted
        training.
        """
        control.should_log |= control.should_save
        if self.agreed:
            control.should_training_stop = True
            control.should_save |= args.eval_strategy == IntervalStrategy.STEPS or not _is_evaluated(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """An epoch that was interrupted is not evaluated."""
        if self.agreed and not _is_evaluated(state):
            control.should_evaluate = control.should_save = False
        control.should_log |= control.should_save


def _announce(number: int) -> None:
    """Write to stderr directly: a signal handler may find Python's buffers in use."""
    text = f"\n{signal.Signals(number).name}: stopping after this step; a checkpoint is written. Again: ends at once\n"
    with suppress(OSError):  # the signal may come from the closing of the terminal
        os.write(2, text.encode())


def _is_evaluated(state: TrainerState) -> bool:
    """Whether this step ends an epoch or the run."""
    return float(state.epoch).is_integer() or state.global_step >= state.max_steps
