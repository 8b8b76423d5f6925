"""The contract of a measure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from metrics.measures.statistics import Statistics
from metrics.text.corpus import Corpus


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a measure for one system.

    Attributes:
        statistics: name of the measure (one of `measure_names.ORDER`) to its statistics over all items of the corpus.
        signature: what determines the number besides tokenizer, references and n (`df:1000`, `java:17`).
        details: further results for the report, as JSON; a `warning` among them is a sentence for the terminal, too.
        per_item: what else is known of each item, as JSON: a key to n values, in the corpus' order.
    """

    statistics: Mapping[str, Statistics]
    signature: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    per_item: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class Measure(ABC):
    """One measure, or several that come from the same computation.

    Attributes:
        names: the measures it gives, each one of `measure_names.ORDER`.
        tokenizer: name and version of what cuts the captions into tokens, for the signature.
        work: what does its work. `python`: these measures run one after the other, since they share one interpreter;
            `programs`: in parallel with all others; `torch`: alone, since two thread pools on the same cores slow each
            other down.
        needs_whole_corpus: whether an item's value depends on the other items' references, so that a sample must be
            scored within the whole set.
        reference_free: those of `names` that look at no reference.
    """

    names: tuple[str, ...]
    tokenizer: str
    work: Literal["python", "programs", "torch"] = "python"
    needs_whole_corpus: bool = False
    reference_free: tuple[str, ...] = ()

    @property
    def needs_references(self) -> bool:
        """Whether every item must have a reference."""
        return any(name not in self.reference_free for name in self.names)

    def absent(self) -> str | None:
        """Return why it cannot run here and what to do (`not installed, run ...`), None if it can. Loads nothing."""
        return None

    def check(self, corpus: Corpus) -> None:  # noqa: B027
        """Raise `UserError` on problems that can be detected before any measure runs."""

    @abstractmethod
    def measure(self, corpus: Corpus) -> Sequence[Measured]:
        """Measure every system of the corpus, in its order; `check` was called before.

        Raises:
            UserError: on what the user can fix.
        """
