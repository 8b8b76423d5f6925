"""The importance of features, as bars and tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recommend.common.page import Bar, PageBars, PageSection, PageTable

SHOWN = 12
KINDS = {"gain": "Gain", "split": "Splits"}
NOTE = (
    "Each feature’s share of the gain and of the number of splits. A high share says that trees use a feature, not "
    "that they rank better by it; numbers that tell articles apart are used whatever they mean. Those of the other "
    "arms are in rank.json."
)
Importances = Sequence[Mapping[str, Any]]


def importances(recipe: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[PageSection]:
    """Those of the arms that tell: without captions, with them, and with those of bestsellers, as in the paper."""
    found = {one["title"]: one["result"].get("importances") for one in rows if one["arm"] in _arms(recipe)}
    known = {title: of_row for title, of_row in found.items() if of_row}
    if known:
        bars = [_bars(title, of_row, kind) for title, of_row in known.items() for kind in KINDS]
        yield PageSection("Importance of features", NOTE, [_table(*one) for one in known.items()], bars=bars)


def _arms(recipe: Mapping[str, Any]) -> list[str]:
    asked = next(arm for arm in recipe["arms"] if arm["name"] == recipe["captions"])
    papers = [arm for arm in recipe["arms"] if arm["bestsellers"] and arm["features"] == asked["features"]]
    return [recipe["against"][0], asked["name"], *(arm["name"] for arm in papers)]


def _bars(title: str, found: Importances, kind: str) -> PageBars:
    best = sorted(found, key=lambda one: -one[kind])[:SHOWN]
    most = max(best[0][kind], 1e-12)
    bars = [Bar(one["feature"], f"{one[kind]:.1%}", one[kind] / most) for one in best]
    return PageBars(f"{KINDS[kind]}: {title}", bars)


def _table(title: str, found: Importances) -> PageTable:
    cells = [[one["feature"], f"{one['gain']:.1%}", f"{one['split']:.1%}"] for one in found[:SHOWN]]
    return PageTable(["Feature", "gain", "splits"], cells, title)
