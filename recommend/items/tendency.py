"""What a view finds: the share of the nearest items that agree with theirs in category and in colour.

Hari Prasad et al. (2023) read off single examples that image vectors find the style, and text vectors the colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.measures.statistics import Floats, intervals, mean_of
from recommend.common.columns import numbered
from recommend.items.catalogue import Catalogue, Filters, pairs
from recommend.items.exact import Places, hidden, search
from recommend.items.views import Views

_MOST = 5_000  # items that are searched for: as many as the paper has
_SEED = 42


@dataclass(frozen=True)
class Share:
    """A share and its 95% interval, products resampled as wholes; None if no item has a value."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Tendency:
    """One view: how many of the k nearest have the item's own category, and its colour."""

    view: str
    category: Share
    colour: Share


def tendencies(
    views: Views, names: Sequence[str], catalogue: Catalogue, k: int, siblings: bool
) -> tuple[int, list[Tendency]]:
    """The number of items searched for (5,000 drawn with a fixed seed, or all), and what each view finds, exactly."""
    count = len(views.vectors)
    drawn = np.random.default_rng(_SEED).choice(count, min(count, _MOST), replace=False)
    queried: Places = np.sort(drawn).astype(np.int64)
    hide = hidden(pairs(catalogue, Filters(siblings=siblings)), queried)
    _, clusters = np.unique(catalogue.products[queried], return_inverse=True)
    made = []
    for name in names:
        vectors = views.vectors_of(name)
        found = search(vectors.rows(queried), vectors.batches(), k, hide).places
        shares = [_share(values, queried, found, clusters) for values in (catalogue.categories, catalogue.colours)]
        made.append(Tendency(name, *shares))
    return len(queried), made


def _share(values: Sequence[str], queried: Places, found: Places, clusters: NDArray[np.int64]) -> Share:
    codes, known = numbered(values), np.array([bool(value) for value in values])
    per_item = np.full(len(queried), np.nan)
    for row, (query, places) in enumerate(zip(queried, found, strict=True)):
        present = places[places >= 0]
        if known[query] and len(present):
            per_item[row] = (codes[present] == codes[query]).mean()
    return _estimated(per_item, clusters)


def _estimated(per_item: Floats, clusters: NDArray[np.int64]) -> Share:
    if np.isnan(per_item).all():
        return Share(None, None)
    statistics, places = mean_of(per_item), np.arange(len(per_item))
    return Share(statistics.value(places), intervals({"share": statistics}, places, clusters)["share"])
