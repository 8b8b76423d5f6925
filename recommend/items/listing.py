"""Similar items as JSON and as tables on the screen."""

from collections.abc import Sequence
from typing import Any

from metrics.common.tables import WideTable, print_tables
from recommend.items.similar import Similar, SimilarItems
from recommend.items.views import JOINED

_SHOWN = 60  # characters of a description on the screen


def as_json(items: SimilarItems, found: Sequence[Similar]) -> dict[str, Any]:
    """Everything that was found, and what is left out because a store lacks it."""
    return {"left_out": _left_out(items), "queries": [_query(items, one) for one in found]}


def print_similar(items: SimilarItems, found: Sequence[Similar]) -> None:
    """Print a table for each query."""
    lines: list[WideTable | str] = [
        f"{count:,} items of {path} are not in the other store, and are left out"
        for path, count in _left_out(items).items()
    ]
    for one in found:
        lines += _shown(_query(items, one))
    print_tables(*lines)


def _left_out(items: SimilarItems) -> dict[str, int]:
    vectors = items.vectors
    return {str(store.path): count for store, count in zip(vectors.stores, vectors.left_out, strict=True) if count}


def _query(items: SimilarItems, one: Similar) -> dict[str, Any]:
    return {
        "query": one.query.name,
        **_described(items, one.query.place),
        "compared_by": one.view,
        "signature": one.signature,
        "recall": round(one.recall, 4),
        "similar": [
            {
                "rank": rank + 1,
                "id": key,
                "cosine": round(float(one.cosines[rank]), 4),
                "cosines": {name: round(float(part[rank]), 4) for name, part in one.parts.items()},
                **_described(items, int(one.places[rank])),
            }
            for rank, key in enumerate(one.ids)
        ],
    }


def _described(items: SimilarItems, place: int | None) -> dict[str, str]:
    """What the table says of an item; nothing without a table."""
    catalogue = items.catalogue
    if catalogue is None or place is None:
        return {}
    return {
        "category": catalogue.categories[place],
        "colour": catalogue.colours[place],
        "description": catalogue.descriptions[place],
    }


def _shown(query: dict[str, Any]) -> list[WideTable | str]:
    own = ", ".join(query[name] for name in ("category", "colour") if query.get(name))
    parts = list(query["similar"][0]["cosines"]) if query["compared_by"] == JOINED else []
    described = [name for name in ("category", "colour", "description") if name in query["similar"][0]]
    table = WideTable(["", "id", *described], ["cosine", *parts])
    for one in query["similar"]:
        texts = [_cut(one[name]) for name in described]
        cosines = [one["cosine"], *(one["cosines"][name] for name in parts)]
        table.add_row(str(one["rank"]), one["id"], *texts, *(f"{cosine:.3f}" for cosine in cosines))
    recall = "" if query["recall"] == 1 else f"; recall of the index {query['recall']:.4f}"
    return [f"similar to {query['query']}{f' ({own})' if own else ''}", table, f"{query['signature']}{recall}"]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
