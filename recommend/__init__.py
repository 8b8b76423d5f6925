"""Similar items, reduced and clustered search, composed retrieval, and how good they are, on stores of features.

>>> from recommend import SimilarItems
>>> items = SimilarItems(["photo-store", "text-store"], items="runs/demo/items.parquet", weight=0.3)
>>> items.nearest(items.item("0100401002"), k=5).ids
>>> items.nearest(items.query(sentence="a red dress")).ids
>>> from recommend import ComposedSearch
>>> ComposedSearch("runs/composed-demo").find("B000200007", "is red and has long sleeves", k=5).ids
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommend.items.catalogue import Filters
    from recommend.items.neighbours import write_neighbours
    from recommend.items.similar import Query, Similar, SimilarItems
    from recommend.retrieval.compose import ComposedSearch

_HOME = {
    "ComposedSearch": "retrieval.compose",
    "Filters": "items.catalogue",
    "Query": "items.similar",
    "Similar": "items.similar",
    "SimilarItems": "items.similar",
    "write_neighbours": "items.neighbours",
}

__all__ = ["ComposedSearch", "Filters", "Query", "Similar", "SimilarItems", "write_neighbours"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more."""
    if name in _HOME:
        return getattr(import_module(f"recommend.{_HOME[name]}"), name)
    raise AttributeError(f"module 'recommend' has no attribute {name!r}")
