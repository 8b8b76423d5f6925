"""What of the items that are evaluated a model has seen in training: the one place that decides it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from metrics.text.spelling import plain_spelling


@dataclass(frozen=True)
class LeakAudit:
    """What of the test split training has seen: shares of its items in [0, 1].

    `test_captions` counts its distinct captions: several items may share one. Captions are the same whatever their
    white space and Unicode form (`plain_spelling`), photos by their bytes or pixels; None if photos are not known.
    """

    test_items: int = 0
    captions_in_train: float = 0.0
    siblings_in_train: float = 0.0
    test_captions: int = 0
    photos_in_train: float | None = None

    def as_dict(self) -> dict[str, float]:
        """For `run.json` and `account.json`: what is known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Exposed:
    """What may leak of n items, in the same order.

    Attributes:
        captions: their captions.
        products: their product ids.
        photos: a text for each photo, the same for the same one (`photo_check.Checked.digests`); None if not known.
    """

    captions: Sequence[str]
    products: Sequence[str | None]
    photos: Sequence[str | None] | None = None


class SeenInTraining:
    """The captions, products and photos that a model was trained on."""

    def __init__(self, items: Exposed) -> None:
        self._captions = frozenset(map(plain_spelling, items.captions))
        self._products = frozenset(items.products)
        self._photos = None if items.photos is None else frozenset(items.photos)

    def seen(self, captions: Iterable[str]) -> list[bool]:
        """For each caption, whether a training item has the same one."""
        return [plain_spelling(caption) in self._captions for caption in captions]

    def audit(self, test: Exposed) -> LeakAudit:
        """Measure the leaks of test items."""
        photos = None
        if self._photos is not None and test.photos is not None:
            photos = _share([photo in self._photos for photo in test.photos])
        return LeakAudit(
            test_items=len(test.captions),
            captions_in_train=_share(self.seen(test.captions)),
            siblings_in_train=_share([product in self._products for product in test.products]),
            test_captions=len(set(map(plain_spelling, test.captions))),
            photos_in_train=photos,
        )


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
