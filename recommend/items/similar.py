"""Similar items: the nearest of an item, a photo or a sentence, by photos, by texts, or by both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.features.fusion import Rows, UnitVectors
from recommend.items.catalogue import Catalogue, Filters, allowed, read_catalogue
from recommend.items.index import check_k
from recommend.items.query_encoding import encoded
from recommend.items.views import JOINED, Views


@dataclass(frozen=True)
class Query:
    """What similar items are wanted for.

    Attributes:
        name: the item's id, the photo's file, the sentence.
        place: the item's number, None if it is no item of the stores.
        parts: the vector (1, d) for each store; None where the query has no such part.
        photo: the photo's file, None if it has none of its own.
    """

    name: str
    place: int | None
    parts: Sequence[Rows | None]
    photo: str | None = None


@dataclass(frozen=True)
class Similar:
    """The items found for a query, nearest first.

    Attributes:
        query: what was asked for.
        view: what was compared: `photo`, `text`, `joined`, ...
        ids: the k items.
        places: (k,) their numbers.
        cosines: (k,).
        parts: by the view of each store that the query has a part for, the cosines (k,) there.
        recall: of the index at k, measured on its own items.
        signature: how the cosines come about.
    """

    query: Query
    view: str
    ids: Sequence[str]
    places: NDArray[np.int64]
    cosines: Rows
    parts: dict[str, Rows]
    recall: float
    signature: str


class SimilarItems:
    """One or two stores of the same items, open for search.

    Attributes:
        vectors: their unit vectors.
        catalogue: what the table says of the items, None without a table.
        views: the ways to compare the items.
    """

    def __init__(
        self,
        stores: Sequence[str | Path],
        items: str | Path | None = None,
        weight: float = 0.5,
        centred: bool = True,
        index: str = "auto",
        category: str | None = None,
        colour: str | None = None,
    ) -> None:
        """Open stores that `lookbook embed` wrote.

        Args:
            stores: one folder, or two with the same items.
            items: `items.parquet` as `prepare` wrote it, or its folder, needed to filter and to show.
            weight: the first store's share of the cosine if there are two.
            centred: subtract the mean vector of each store.
            index: one of `recommend.items.index.KINDS`.
            category: the column of the categories, if not a known one.
            colour: the column of the colours, likewise.

        Raises:
            UserError: when a store or the table is damaged, or they disagree.
        """
        if not 1 <= len(stores) <= 2:
            raise UserError(f"expected one or two stores, found {len(stores)}")
        self.vectors = UnitVectors([FeatureStore.open(Path(path)) for path in stores], weight, centred)
        self.views = Views(self.vectors, index)
        self.catalogue: Catalogue | None = None
        if items is not None:
            self.catalogue = read_catalogue(Path(items), self.vectors.ids, category, colour)

    def item(self, key: str) -> Query:
        """The item with this id. Raises `UserError` if a store lacks it."""
        parts = [store.rows(store.places([key])) for store in self.vectors.stores]
        return Query(key, self._places[key], parts)

    def query(self, photo: str | Path | None = None, sentence: str | None = None) -> Query:
        """A photo's file, a sentence, or both, encoded by the encoders that the stores name.

        Raises `UserError` if no store reads such a thing, or it cannot be encoded.
        """
        stores = self.vectors.stores
        parts: list[Rows | None] = [None] * len(stores)
        if photo is not None:
            place = self._store_of("photo")
            parts[place] = encoded(stores[place], "photo", str(photo))
        if sentence is not None:
            place = self._store_of("text")
            if parts[place] is not None:
                raise UserError("a photo and a sentence need a store of photos and one of texts, found one store")
            parts[place] = encoded(stores[place], "sentence", sentence)
        name = " + ".join(str(one) for one in (photo, sentence) if one is not None)
        return Query(name, None, parts, None if photo is None else str(photo))

    def nearest(self, query: Query, k: int = 5, view: str | None = None, filters: Filters | None = None) -> Similar:
        """The k nearest items.

        Args:
            query: what `item` or `query` returned.
            k: how many.
            view: one of `views.of_parts(query.parts)`; default: the last, all that the query has.
            filters: which items may be found; the query's own item never is.

        Raises:
            UserError: when the filters leave fewer than k items, or need a table.
        """
        name = view or self.views.of_parts(query.parts)[-1]
        mask = self._allowed(filters or Filters(), query.place)
        check_k(k, int(mask.sum()), "items that the query and the filters leave")
        searched = self.views.view(name, k)
        places, cosines = searched.nearest(self.views.row(name, query.parts, query.name), mask, k)
        ids = [self.vectors.ids[place] for place in places]
        signature = self.views.signature(name, searched.index.kind)
        return Similar(query, name, ids, places, cosines, self._parts(query, places), searched.recall, signature)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.vectors.ids)}

    def _store_of(self, reads: str) -> int:
        """The store of photos or of texts, else one whose encoder reads both; an only store's encoder is asked."""
        found: list[str] = [store.about.reads for store in self.vectors.stores]
        for wanted in (reads, "both"):
            if wanted in found:
                return found.index(wanted)
        if len(found) == 1:
            return 0
        raise UserError(f"expected a store of {reads}s for this query, found two of {found[0]}s; give another store")

    def table_for(self, filters: Filters) -> Catalogue | None:
        """The table, None if there is none. Raises `UserError` if there is none and the filters need one."""
        if self.catalogue is None and filters.any():
            raise UserError("a filter needs the items' table; give --items, the items.parquet that `prepare` wrote")
        return self.catalogue

    def _allowed(self, filters: Filters, place: int | None) -> NDArray[np.bool_]:
        catalogue = self.table_for(filters)
        if catalogue is not None:
            return allowed(catalogue, filters, place)
        mask = np.ones(len(self.vectors), bool)
        if place is not None:
            mask[place] = False
        return mask

    def _parts(self, query: Query, places: NDArray[np.int64]) -> dict[str, Rows]:
        names = [name for name in self.views.of_parts(query.parts) if name != JOINED]
        return {
            name: (self.views.vectors_of(name).rows(places) @ self.views.row(name, query.parts, query.name).T)[:, 0]
            for name in names
        }
