"""What of the items that are evaluated a model has seen in training: the one place that decides it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class LeakAudit:
    """What of the test split training has seen: shares of its items in [0, 1].

    `test_captions` counts its distinct captions: several items may share one.
    """

    test_items: int = 0
    captions_in_train: float = 0.0
    siblings_in_train: float = 0.0
    test_captions: int = 0

    def as_dict(self) -> dict[str, float]:
        """For `run.json` and `account.json`."""
        return asdict(self)


class SeenInTraining:
    """The captions and products that a model was trained on."""

    def __init__(self, captions: Iterable[str], products: Iterable[str | None]) -> None:
        self._captions = frozenset(captions)
        self._products = frozenset(products)

    def seen(self, captions: Iterable[str]) -> list[bool]:
        """For each caption, whether a training item has the same one."""
        return [caption in self._captions for caption in captions]

    def audit(self, captions: Sequence[str], products: Iterable[str | None]) -> LeakAudit:
        """Measure the leaks of test items, given their captions and product ids in the same order."""
        return LeakAudit(
            test_items=len(captions),
            captions_in_train=_share(self.seen(captions)),
            siblings_in_train=_share([product in self._products for product in products]),
            test_captions=len(set(captions)),
        )


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
