"""The items of a selection in its order, with what lies before and after each, and the distribution of their scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metrics.common.charts import Chart, histogram
from metrics.measures.statistics import Floats
from metrics.viewer.index import Index, Places
from metrics.viewer.selection import DIFFERENCE, DISAGREEMENT, Selection

_KEPT = 16  # lists, of 8 bytes an item


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where an item is in a list.

    Attributes:
        number: its number there, from 1; None if it is not in the list.
        previous: the place of the item before it, None for the first.
        next: the place of the item after it, None for the last.
    """

    number: int | None = None
    previous: int | None = None
    next: int | None = None


class Listings:
    """The lists of items of an index; the last 16 are kept, so that pages of one list are made from the same."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._find = lru_cache(_KEPT)(self._found)

    def places(self, selection: Selection) -> Places:
        """Return the places of the selected items, in its order; equal scores stay in the test set's order.

        Items that a range's measure leaves out are not in the range; those that the sorting measure leaves out, come
        last.
        """
        return self._find(selection)

    def neighbours(self, selection: Selection, place: int) -> Neighbours:
        """Return what lies before and after the item at `place`."""
        places = self.places(selection)
        [found] = np.nonzero(places == place)
        if not len(found):
            return Neighbours()
        at = int(found[0])
        return Neighbours(
            at + 1,
            int(places[at - 1]) if at else None,
            int(places[at + 1]) if at + 1 < len(places) else None,
        )

    def charts(self, selection: Selection) -> Mapping[str, Chart]:
        """Return the distribution of each measure over the selected items, a curve for each system scored by it."""
        places, charts = self.places(selection), {}
        for measure in self.index.measures:
            counts = {
                name: _counts(self.index.scores(measure, system)[places])
                for system, name in enumerate(self.index.names)
            }
            if chart := histogram(counts, measure):
                charts[measure] = chart
        return charts

    def _found(self, selection: Selection) -> Places:
        if selection.q and not selection.terms:
            return np.empty(0, dtype=np.int64)
        places = self.index.find(
            selection.terms,
            selection.category,
            None if selection.slice is None else selection.slice == "seen",
            selection.first,
            selection.products,
        )
        if selection.min is not None or selection.max is not None:
            places = places[_within(self._scores(selection)[places], selection.min, selection.max)]
        if selection.diff_min is not None or selection.diff_max is not None:
            places = places[_within(self._difference(selection)[places], selection.diff_min, selection.diff_max)]
        return self._sorted(places, selection)

    def _sorted(self, places: Places, selection: Selection) -> Places:
        if selection.sort is None:
            return places
        if selection.sort in (DIFFERENCE, DISAGREEMENT):
            keys = self._difference(selection)[places]
            keys = np.abs(keys) if selection.sort == DISAGREEMENT else keys
        else:
            keys = self._scores(replace(selection, measure=selection.sort))[places]
        return places[np.argsort(keys if selection.order == "asc" else -keys, kind="stable")]  # NaN comes last

    def _scores(self, selection: Selection) -> Floats:
        """(n,) the scores of the system in focus, x100."""
        return 100 * self.index.scores(selection.measure, self.index.names.index(selection.system))

    def _difference(self, selection: Selection) -> Floats:
        """(n,) the scores of the system in focus less those of the other, x100."""
        other = replace(selection, system=selection.versus or selection.system)
        return self._scores(selection) - self._scores(other)


def _within(values: Floats, lowest: float | None, highest: float | None) -> NDArray[np.bool_]:
    values = np.round(values, 9)  # 100 * 0.29 is a little less than 29
    inside = ~np.isnan(values)
    if lowest is not None:
        inside &= values >= lowest
    if highest is not None:
        inside &= values <= highest
    return inside


def _counts(values: Floats) -> dict[int, int]:
    """How many scores are from n to n + 1, x100, by n."""
    floors = np.floor(np.round(100 * values[~np.isnan(values)], 6)).astype(np.int64)
    numbers, counts = np.unique(floors, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))
