"""Clusters: items that hang together, which intervals and p-values must not take for independent ones."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.common.errors import UserError
from metrics.common.groups import connected_groups
from metrics.measures.statistics import Floats
from metrics.records.captions import CaptionRecord
from metrics.text.ngrams import Integers
from metrics.text.spelling import plain_spelling

FEWEST = 30
ITEM = "item"


def _product(item: CaptionRecord) -> Iterator[Hashable]:
    if item.product_id:
        yield item.product_id


def _references(item: CaptionRecord) -> Iterator[Hashable]:
    yield from map(plain_spelling, item.references)


def _photo(item: CaptionRecord) -> Iterator[Hashable]:
    if item.photo_digest:
        yield "digest", item.photo_digest
    elif item.image:
        yield "path", item.image


_KEYS: Mapping[str, Callable[[CaptionRecord], Iterable[Hashable]]] = {
    "product": _product,
    "reference": _references,
    "photo": _photo,
}
BY = tuple(_KEYS)


@dataclass(frozen=True, slots=True)
class Clusters:
    """The items of a slice, joined where they hang together.

    Attributes:
        unit: what they are joined by, such as `product+reference`; `item` if each is on its own.
        labels: (n,) the number of each item's cluster, in the slice's order.
    """

    unit: str
    labels: Integers

    def __len__(self) -> int:
        return len(np.unique(self.labels))

    def counted(self, per_item: Floats) -> int:
        """Return how many clusters have an item that a measure, with these values (n,) of its items, counts."""
        return len(np.unique(self.labels[~np.isnan(per_item)]))


def check_keys(by: object) -> None:
    """Raise `UserError` unless `by` lists what items can be joined by: some of `BY`, or `item` alone: by nothing."""
    if by in ([ITEM], (ITEM,)):
        return
    if not isinstance(by, list | tuple) or not by or not all(key in BY for key in by):
        found = ", ".join(map(str, by)) if isinstance(by, list | tuple) else repr(by)
        raise UserError(f"clusters: expected a list of {', '.join(BY)}, or of {ITEM} alone; found {found or 'nothing'}")


def find_clusters(items: Sequence[CaptionRecord], by: Sequence[str] = BY) -> Clusters:
    """Join items that share a product, a reference (whatever its white space and Unicode form) or a photo.

    Photos are told by their digests, else by their paths. Items are joined through others too: a product's colourways,
    whose references are those of a second product, are one cluster with it.

    Raises:
        UserError: as `check_keys`.
    """
    check_keys(by)
    present = [name for name in BY if name in by and any(key for item in items for key in _KEYS[name](item))]
    keys = ([(name, key) for name in present for key in _KEYS[name](item)] for item in items)
    return Clusters("+".join(present) or ITEM, connected_groups(keys))


def too_few(clusters: Mapping[str, Clusters], per_item: Mapping[str, Mapping[str, Floats]]) -> list[str]:
    """Return a warning for each slice that has fewer clusters than intervals and p-values need, or of which a measure
    counts fewer; `per_item` are a system's values by slice and measure."""
    warnings = []
    for name, one in clusters.items():
        counted = {measure: one.counted(values) for measure, values in per_item[name].items()}
        few = [f"{measure} {count:,}" for measure, count in counted.items() if count < FEWEST]
        if len(one) < FEWEST:
            few = [f"{len(one):,}"]
        if few:
            warnings.append(
                f"{name}: independent clusters of items: {', '.join(few)}; fewer than {FEWEST}: do not trust "
                "intervals and p-values."
            )
    return warnings
