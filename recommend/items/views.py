"""The ways to compare items that have features in one or two stores: by each store alone, and by both joined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from metrics.common.version import installed_version
from recommend.features.fusion import Rows, UnitVectors
from recommend.items.exact import search
from recommend.items.index import Index, build_index, recall

JOINED = "joined"
_MARGIN, _GROWTH = 10, 4


@dataclass(frozen=True)
class View:
    """Vectors that are compared, with their index and its measured recall (1 of the exact one)."""

    vectors: UnitVectors
    index: Index
    recall: float

    def nearest(self, row: Rows, mask: NDArray[np.bool_], k: int) -> tuple[NDArray[np.int64], Rows]:
        """Places and cosines of the k rows nearest to `row` (1, d) among those allowed (n,).

        More and more are searched until so many are allowed; where an `ivf` index finds fewer, all rows are compared.
        """
        wanted = k + _MARGIN
        while True:
            found = self.index.search(row, min(wanted, len(mask)))
            kept = np.flatnonzero((found.places[0] >= 0) & mask[found.places[0]])[:k]
            if len(kept) == k:
                return found.places[0][kept], np.clip(found.scores[0][kept], -1, 1)
            if wanted >= len(mask):
                return self._nearest_of_all(row, mask, k)
            wanted *= _GROWTH

    def _nearest_of_all(self, row: Rows, mask: NDArray[np.bool_], k: int) -> tuple[NDArray[np.int64], Rows]:
        def hide(scores: Rows, first: int) -> None:
            scores[:, ~mask[first : first + scores.shape[1]]] = -np.inf

        found = search(row, self.vectors.batches(), k, hide)
        present = found.places[0] >= 0
        return found.places[0][present], np.clip(found.scores[0][present], -1, 1)


class Views:
    """The views of one or two stores, each indexed when it is first asked for.

    Attributes:
        vectors: the unit vectors of all stores.
        names: the view of each store: what it reads (`photo`, `text`, `both`), or `first` and `second`.
    """

    def __init__(self, vectors: UnitVectors, kind: str) -> None:
        self.vectors, self._kind = vectors, kind
        reads: list[str] = [store.about.reads for store in vectors.stores]
        self.names = reads if len(set(reads)) == len(reads) else ["first", "second"]
        self._built: dict[str, View] = {}

    @property
    def all(self) -> list[str]:
        """Every view: of each store, and of both joined."""
        return [*self.names, JOINED] if len(self.names) == 2 else self.names

    def of_parts(self, parts: Sequence[Rows | None]) -> list[str]:
        """The views in which a query with these parts can be compared: `joined`, the last, needs both."""
        single = [name for name, part in zip(self.names, parts, strict=True) if part is not None]
        return [*single, JOINED] if len(single) == 2 else single

    def vectors_of(self, name: str) -> UnitVectors:
        """The unit vectors of a view."""
        return self.vectors if name == JOINED else self.vectors.alone(self.names.index(name))

    def row(self, name: str, parts: Sequence[Rows | None], query: str) -> Rows:
        """A query's features (1, d of the store) as a row (1, d) of a view; `query` names it in messages."""
        own = parts if name == JOINED else [parts[self.names.index(name)]]
        return self.vectors_of(name).join(own, [query])

    def view(self, name: str, k: int) -> View:
        """A view with its index, built at the first call, and the recall at that call's k."""
        if name not in self._built:
            vectors = self.vectors_of(name)
            index = build_index(vectors, self._kind)
            measured = 1.0 if index.kind == "exact" else recall(index, vectors, min(k, len(vectors)))
            self._built[name] = View(vectors, index, measured)
        return self._built[name]

    def signature(self, name: str, index: str) -> str:
        """How the cosines of a view come about, for whoever compares them with others."""
        vectors = self.vectors_of(name)
        stores = "+".join(_named(store) for store in vectors.stores)
        weight = f"|weight:{vectors.weights[0]:g}" if name == JOINED else ""
        centred = "yes" if vectors.means[0].any() else "no"
        return (
            f"cosine|{stores}{weight}|centred:{centred}|n:{len(vectors)}|index:{index}|lookbook:{installed_version()}"
        )


def _named(store: FeatureStore) -> str:
    resolution = f"@{store.about.resolution}px" if store.about.resolution else ""
    return f"{store.about.encoder_shown}{resolution}:{store.digest[:8]}"
