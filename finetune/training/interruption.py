"""Told to end, a training ends with a checkpoint after the optimizer step at hand."""

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
    """Keeps the signal that told this process to end; what all processes `agreed` on stops the training.

    `agreed` is the signal's number, 0 where there was none.
    """

    def __init__(self) -> None:
        self.told = 0
        self.agreed = 0
        self._since = 0.0
        self.parent = os.getppid() if "ACCELERATE_MIXED_PRECISION" in os.environ else None

    def number(self) -> int:
        """The signal that told this process to end; as SIGTERM counts that our launcher is gone: it passes none on."""
        orphaned = self.parent not in (None, os.getppid())
        return self.told or (signal.SIGTERM if orphaned else 0)

    def listening(self) -> AbstractContextManager[None]:
        """Take a signal that would end us as a wish; a second one, later than `PASSED_ON`, ends us at once."""
        return on_ending(self._hear)

    def _hear(self, number: int) -> None:
        if not self.told:
            self.told, self._since = number, time.monotonic()
            if PartialState().is_main_process:
                _tell(number)
        elif number != signal.SIGHUP and time.monotonic() - self._since > PASSED_ON:
            os._exit(128 + number)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stop, and save where no validation comes first."""
        if self.agreed:
            control.should_training_stop = True
            control.should_save |= args.eval_strategy == IntervalStrategy.STEPS or not _is_judged(state)
        control.should_log |= control.should_save

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """An epoch that was broken off is not judged: it is no epoch."""
        if self.agreed and not _is_judged(state):
            control.should_evaluate = control.should_save = False
        control.should_log |= control.should_save


def _tell(number: int) -> None:
    """On stderr, past Python's buffers, which a handler of signals may find in use."""
    text = f"\n{signal.Signals(number).name}: stopping after this step; a checkpoint is written. Again: ends at once\n"
    with suppress(OSError):  # the terminal that closed is what told us
        os.write(2, text.encode())


def _is_judged(state: TrainerState) -> bool:
    """Whether this step ends an epoch or the run."""
    return float(state.epoch).is_integer() or state.global_step >= state.max_steps
