"""What happens beside the steps of training."""

from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from finetune.config.recipe import Recipe
from finetune.data.mixture import Mixture
from finetune.training.caption_evaluation import Judge
from finetune.training.trackers import facts_of, open_tracker


class Tracking(TrainerCallback):  # type: ignore[misc]
    """Tells the recipe's tracker what the run is and shows it every judgement; on the first process alone."""

    def __init__(self, recipe: Recipe, mixture: Mixture, judge: Judge | None) -> None:
        self.tracker, self.judge = open_tracker(recipe) if PartialState().is_main_process else None, judge
        if self.tracker:
            self.tracker.begin(facts_of(recipe, mixture))

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        """Show the judgement that was just made."""
        if self.tracker and self.judge and self.judge.last:
            self.tracker.show(self.judge.last)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Send what is left; the final scores follow when there is a report."""
        if self.tracker:
            self.tracker.close()
