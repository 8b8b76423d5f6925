"""Similar items, reduced and clustered search, composed retrieval, recommenders on purchases, and how good they are.

>>> from recommend import SimilarItems
>>> items = SimilarItems(["photo-store", "text-store"], items="runs/demo/items.parquet", weight=0.3)
>>> items.nearest(items.item("0100401002"), k=5).ids
>>> items.nearest(items.query(sentence="a red dress")).ids

>>> from recommend import load_recommender, open_purchases, split
>>> parts = split(open_purchases("runs/demo/purchases"), "per-user-80-20").restricted()
>>> knn = load_recommender({"recommender": "item-knn"})
>>> knn.fit(parts.train)
>>> knn.recommend(np.array([0, 1, 2]), k=12).ids

>>> from recommend import ComposedSearch
>>> ComposedSearch("runs/composed-demo").find("B000200007", "is red and has long sleeves", k=5).ids
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommend.interactions.purchases import open_purchases
    from recommend.interactions.splits import split
    from recommend.items.catalogue import Filters
    from recommend.items.neighbours import write_neighbours
    from recommend.items.similar import Query, Similar, SimilarItems
    from recommend.recommenders.features import item_features
    from recommend.recommenders.registry import load_recommender
    from recommend.retrieval.compose import ComposedSearch

_HOME = {
    "ComposedSearch": "retrieval.compose",
    "Filters": "items.catalogue",
    "Query": "items.similar",
    "Similar": "items.similar",
    "SimilarItems": "items.similar",
    "item_features": "recommenders.features",
    "load_recommender": "recommenders.registry",
    "open_purchases": "interactions.purchases",
    "split": "interactions.splits",
    "write_neighbours": "items.neighbours",
}

__all__ = [
    "ComposedSearch",
    "Filters",
    "Query",
    "Similar",
    "SimilarItems",
    "item_features",
    "load_recommender",
    "open_purchases",
    "split",
    "write_neighbours",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more."""
    if name in _HOME:
        return getattr(import_module(f"recommend.{_HOME[name]}"), name)
    raise AttributeError(f"module 'recommend' has no attribute {name!r}")
