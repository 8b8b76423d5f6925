"""What happens beside the steps of training: early stopping, timing, reports to the tracker."""

import time
from statistics import median
from typing import Any

from transformers import EarlyStoppingCallback, ProgressCallback, TrainerCallback

from finetune.training.caption_evaluation import CaptionEvaluator
from finetune.training.trackers import Facts, Tracker
from metrics.common.screen import is_quiet, progress


class ResumableEarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """As transformers'; a run that is resumed from its last checkpoint is at its end."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop if the run had stopped at the checkpoint."""
        super().on_train_begin(args, state, control, **kwargs)
        waited = self.early_stopping_patience_counter >= self.early_stopping_patience
        control.should_training_stop |= waited or state.global_step >= state.max_steps


class TrainingProgress(ProgressCallback):  # type: ignore[misc]
    """As transformers', with our bar, which is lines in a log; with --quiet the losses are not printed."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the bar."""
        if state.is_world_process_zero:
            self.training_bar = progress(None, "training", total=state.max_steps, unit="step", dynamic_ncols=True)
        self.current_step = 0

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        """Print the losses."""
        if not is_quiet():
            super().on_log(*args, **kwargs)


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Times each optimizer step from the end of the one before, the reading and making of its batches included.

    The first step, and those after a validation or a checkpoint, are timed from their own beginning.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._since: float | None = None

    @property
    def median(self) -> float:
        """The median of the steps' seconds; there must be a step."""
        return median(self.seconds)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Begin, unless the end of the step before was the beginning."""
        self._since = self._since or time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End one step and begin the next."""
        now = time.perf_counter()
        self.seconds.append(now - (self._since or now))
        self._since = now

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        """What follows is no step."""
        self._since = None

    on_save = on_evaluate


class Tracking(TrainerCallback):  # type: ignore[misc]
    """Reports to the tracker what the run is, and every evaluation of its captions."""

    def __init__(self, tracker: Tracker, facts: Facts, evaluator: CaptionEvaluator | None) -> None:
        self.tracker, self.evaluator = tracker, evaluator
        self.tracker.begin(facts)

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        """Show the captions that were just evaluated."""
        if self.evaluator and self.evaluator.last:
            self.tracker.show(self.evaluator.last)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Send what is left; the final scores follow when there is a report."""
        self.tracker.close()
