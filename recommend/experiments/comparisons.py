"""How much models differ on the same customers, from the files of their results."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from metrics.measures.statistics import holm
from recommend.experiments.measured import main_measures
from recommend.experiments.results import Place
from recommend.ranking.estimates import differences

NEXT, AGAINST = "next", "against"
Entry = dict[str, Any]


class Comparisons:
    """Compares pairs of results, each pair once: the table is written after every row."""

    def __init__(self, ks: Sequence[int]) -> None:
        self._ks = ks
        self._known: dict[tuple[Place, Place], dict[str, Entry]] = {}

    def of(self, ordered: Mapping[str, Place], against: Sequence[str]) -> list[Entry]:
        """Each model less the `next` one, and less each of `against`, by slice.

        p is corrected by Holm for all pairs of a slice, those less one model apart from those less another. `ordered`:
        models of one data set, the best first.
        """
        pairs = [(NEXT, one, other) for one, other in pairwise(ordered)]
        pairs += [(AGAINST, one, other) for other in against if other in ordered for one in ordered if one != other]
        found: list[Entry] = [
            {"kind": kind, "model": one, "from": other, "slice": name, "differences": values}
            for kind, one, other in pairs
            for name, values in self._between(ordered[one], ordered[other]).items()
        ]
        families: dict[tuple[str, ...], list[Entry]] = {}
        for entry in found:
            less = entry["from"] if entry["kind"] == AGAINST else ""
            families.setdefault((entry["kind"], entry["slice"], less), []).append(entry)
        for family in families.values():
            self._correct(family)
        return found

    def _between(self, one: Place, other: Place) -> dict[str, Entry]:
        if (one, other) not in self._known:
            ours, theirs = one.hits(), other.hits()
            gains = {name: differences(ours[name], theirs[name], self._ks) for name in ours}
            self._known[one, other] = {
                name: {measure: asdict(of_slice[measure]) for measure in main_measures(self._ks)}
                for name, of_slice in gains.items()
                if of_slice
            }
        return self._known[one, other]

    def _correct(self, family: Sequence[Entry]) -> None:
        by = f"nDCG@{max(self._ks)}"
        corrected = holm({place: entry["differences"][by]["p"] for place, entry in enumerate(family)})
        for place, entry in enumerate(family):
            entry["p_holm"] = corrected[place]
