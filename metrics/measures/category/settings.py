"""How a category classifier is trained."""

from dataclasses import dataclass, replace
from typing import Any

from metrics.common.errors import UserError


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """How a category classifier is trained; the default values are those of the published results.

    Not as published: the rate rises over the first tenth of the steps and falls linearly to 0 after, and an epoch
    passes over distinct pairs of caption and category, weighted by their count, so that it has fewer steps.

    Attributes:
        base: the encoder it starts from, a Hub id or a folder.
        tiny: start from a tiny BERT made from the training captions instead.
        epochs: passes over the training captions; the best one by validation accuracy is kept.
        learning_rate: highest rate of Adam, after warm-up.
        batch_size: distinct captions per step.
        dropout: before the linear head, in training.
        seed: of the head's first weights, the dropout and the order of captions.

    Raises:
        UserError: when a value is out of range.
    """

    base: str = "bert-base-uncased"
    tiny: bool = False
    epochs: int = 15
    learning_rate: float = 1e-5
    batch_size: int = 64
    dropout: float = 0.5
    seed: int = 42

    def __post_init__(self) -> None:
        for name, expected, holds in (
            ("epochs", "1 or more", self.epochs >= 1),
            ("learning_rate", "above 0, at most 1", 0 < self.learning_rate <= 1),
            ("batch_size", "1 or more", self.batch_size >= 1),
            ("dropout", "at least 0, below 1", 0 <= self.dropout < 1),
            ("seed", "0 ... 2^32-1", 0 <= self.seed < 2**32),
        ):
            if not holds:
                raise UserError(f"classifier: {name} must be {expected}, found {getattr(self, name)}")


TINY = ClassifierSettings(base="tiny", tiny=True, epochs=5, learning_rate=2e-3, batch_size=32, dropout=0.1)


def classifier_settings(tiny: bool, **given: Any) -> ClassifierSettings:
    """Return the defaults of a tiny base or of the published one, with the given changes; raises `UserError`."""
    if tiny and "base" in given:
        raise UserError("--tiny makes its own base; leave --base out")
    return replace(TINY if tiny else ClassifierSettings(), **given)
