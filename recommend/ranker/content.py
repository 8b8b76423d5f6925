"""What the table of a recipe says, as plain values: `rank.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import lightgbm

from metrics.common.version import installed_version
from metrics.measures.statistics import SAMPLES, TRIALS, holm
from recommend.experiments.measured import ALL
from recommend.experiments.results import Place
from recommend.ranker.periods import Data
from recommend.ranker.published import MEASURE, SOURCE
from recommend.ranker.recipe import BESTSELLERS, Recipe, with_or_without
from recommend.ranker.rows import KS, WITH_HISTORY, Key, Planned, customers_of
from recommend.ranking.estimates import differences

TITLE = "Captions as features of a ranker"
Content = dict[str, Any]
Entry = dict[str, Any]


class Comparisons:
    """Compares pairs of results by slice of customers, each pair once: the table is written several times."""

    def __init__(self, data: Data) -> None:
        self._slices = customers_of(data)
        self._known: dict[tuple[Place, Place], Entry] = {}

    def between(self, one: Place, other: Place) -> Entry:
        """How much higher the first one's MAP@12 is, by slice; without a slice that has no customers."""
        if (one, other) not in self._known:
            ours, theirs = one.hits()[ALL], other.hits()[ALL]
            gains = {name: differences(ours, theirs, KS, among) for name, among in self._slices.items()}
            self._known[one, other] = {name: asdict(found[MEASURE]) for name, found in gains.items() if found}
        return self._known[one, other]


def content_of(recipe: Recipe, rows: Sequence[Planned], data: Data, comparisons: Comparisons) -> Content:
    """All that is known so far."""
    finished = {row.key: row.place for row in rows if row.place.is_finished()}
    entries = [_entry(recipe, row, finished, comparisons) for row in rows]
    _correct(entries)
    return {
        "title": TITLE,
        "lookbook": installed_version(),
        "lightgbm": lightgbm.__version__,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "source": SOURCE,
        "method": {
            "interval": f"95%, percentile bootstrap over customers, {SAMPLES:,} samples",
            "difference": f"paired over customers; p by randomisation, {TRIALS:,} trials, corrected by Holm",
        },
        "recipe": recipe.model_dump(mode="json"),
        "train": [one.as_dict() for one in data.accounts[:-1]],
        "test": data.accounts[-1].as_dict(),
        "left_out": data.left_out,
        "rows": entries,
        "sentence": _sentence(recipe, entries),
        "signature": _signature(recipe, len(data.test.labels.customers)),
    }


def _entry(recipe: Recipe, row: Planned, finished: Mapping[Key, Place], comparisons: Comparisons) -> Entry:
    arm, ranker, bestseller_rank = row.key
    known = {"title": row.title, "arm": arm, "ranker": ranker, "bestseller_rank": bestseller_rank}
    place = finished.get(row.key)
    if place is None:
        return {**known, "result": None, "differences": {}}
    against: dict[str, Key] = {name: (name, ranker, bestseller_rank) for name in recipe.against}
    against[BESTSELLERS] = (BESTSELLERS, None, None)
    return {
        **known,
        "result": {key: value for key, value in place.read().items() if key != "inputs"},
        "folder": place.folder.name,
        "differences": {
            name: comparisons.between(place, finished[key])
            for name, key in against.items()
            if key in finished and key != row.key
        },
    }


def _correct(entries: Sequence[Entry]) -> None:
    """Correct p for all rows that are compared with the same arm on the same customers."""
    found = [
        (name, part, one)
        for entry in entries
        for name, of_slice in entry["differences"].items()
        for part, one in of_slice.items()
    ]
    for key in {(name, part) for name, part, _ in found}:
        group = [one for name, part, one in found if (name, part) == key]
        corrected = holm({place: one["p"] for place, one in enumerate(group)})
        for place, one in enumerate(group):
            one["p_holm"] = corrected[place]


def _sentence(recipe: Recipe, entries: Sequence[Entry]) -> str | None:
    """Whether captions helped, by the first ranker with the bestseller rank and by all; None if that is not known yet.

    They helped if the interval is above 0 in every comparison: one ranker may gain by chance what another loses.
    """
    ours = [one for one in entries if one["arm"] == recipe.captions]
    if ALL not in ours[0]["differences"].get(recipe.against[0], {}):
        return None
    found = [one["differences"][name][ALL] for one in ours for name in recipe.against if name in one["differences"]]
    above, below = (sum(one["low"] > 0 for one in found), sum(one["high"] < 0 for one in found))
    first, against = ours[0], recipe.against
    return (
        f"Captions {_did(above, below, len(found))}: {MEASURE} of “{recipe.captions}” less that of “{against[0]}” is "
        f"{_gains(first, against[0])} ({first['ranker']}, {with_or_without(True)}); of {len(found)} comparisons, each "
        f"ranker with and without the bestseller rank less {' and '.join(against)}, the interval is above 0 in "
        f"{above}, below in {below}.{_not_captions(recipe.captions, first['result']['added'] or {})}"
    )


def _gains(entry: Entry, against: str) -> str:
    """A row's difference of all customers, and of those with a history, of whom more is known."""
    shown = []
    for part, gain in entry["differences"][against].items():
        if part in (ALL, WITH_HISTORY):
            count = entry["result"]["estimates"][part][MEASURE]["customers"]
            whose = f"{count:,} customers" if part == ALL else f"the {count:,} {part}"
            shown.append(f"{gain['value']:+.5f}, 95% interval {gain['low']:+.5f} to {gain['high']:+.5f}, of {whose}")
    return ", and ".join(shown)


def _not_captions(arm: str, added: Mapping[str, Any]) -> str:
    """A sentence on an arm of captions whose texts no model wrote; rows of earlier versions do not say."""
    texts = added.get("texts")
    if texts is None or "captions:" in texts:
        return ""
    return f" “{arm}” is of the catalogue’s own texts ({texts}), not of a model’s captions."


def _did(above: int, below: int, count: int) -> str:
    if above == count:
        return "helped"
    if below == count:
        return "harmed"
    if not above and not below:
        return "neither helped nor harmed measurably"
    if above and below:
        return "helped in some comparisons and harmed in others"
    return f"{'helped' if above else 'harmed'} in some comparisons only"


def _signature(recipe: Recipe, customers: int) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in recipe.candidates.model_dump().items())
    return "|".join(
        (
            MEASURE,
            f"setting:{recipe.setting}",
            *(f"train:{days}" for days in recipe.train),
            f"test:{recipe.test}",
            f"candidates:{counts}",
            "ties:article id",
            "customers:all with labels",
            f"n:{customers}",
            "unit:customer",
            f"seed:{recipe.seed}",
            f"threads:{recipe.threads}",
            f"lightgbm:{lightgbm.__version__}",
            f"lookbook:{installed_version()}",
        )
    )
