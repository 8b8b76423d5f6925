"""The contract of a measure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from metrics.measures.statistics import Statistics
from metrics.records.captions import CaptionRecord
from metrics.text.corpus import Corpus


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measure found out about one system.

    Attributes:
        statistics: name of the measure (one of `measure_names.ORDER`) to its statistics over all items of the corpus.
        signature: what else, beside tokenizer, references and n, decides about the number (`df:1000`, `java:17`).
        details: what the report shows beside the number, as JSON.
    """

    statistics: Mapping[str, Statistics]
    signature: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Measure(ABC):
    """One measure, or several that come out of the same work.

    Attributes:
        names: the measures it gives, each one of `measure_names.ORDER`.
        tokenizer: name and version of what cuts the captions into tokens, for the signature.
        work: what does its work. `python`: such measures run one after the other, since they would only take turns;
            `programs`: beside all others; `torch`: alone, since two pools of threads on the same cores wait for each
            other.
        needs_whole_corpus: whether an item's value depends on the other items' references, so that a sample must be
            scored within the whole set.
    """

    names: tuple[str, ...]
    tokenizer: str
    work: Literal["python", "programs", "torch"] = "python"
    needs_whole_corpus: bool = False

    def absent(self) -> str | None:
        """Say why it cannot run here, and what to do (`not installed, run ...`); None where it can. Loads nothing."""
        return None

    def check(self, items: Sequence[CaptionRecord]) -> None:  # noqa: B027
        """Raise `UserError` on what can be seen to be wrong with it or these items before any measure runs."""

    @abstractmethod
    def measure(self, corpus: Corpus) -> Sequence[Measured]:
        """Measure every system of the corpus, in its order; `check` was called before.

        Raises:
            UserError: on what the user can put right.
        """
