"""How long an optimizer step takes."""

import time
from statistics import median
from typing import Any

from transformers import TrainerCallback


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Times each optimizer step from the end of the one before, its batches read and made among it.

    The first step, and those after a validation or a checkpoint, are timed from their own beginning.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._since: float | None = None

    @property
    def median(self) -> float:
        """Seconds a step in the middle took; there must be one."""
        return median(self.seconds)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Begin where nothing was begun."""
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
