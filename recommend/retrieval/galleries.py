"""The photos that a query is answered from; the two galleries of FashionIQ are not comparable, so each has its name.

`original`: all photos of the split file. `union`: the photos that the split's pairs name (VAL, Chen et al., CVPR 2020).
The reference stays in both.
"""

from collections.abc import Sequence
from typing import Literal

from metrics.common.errors import UserError
from recommend.retrieval.fashion_iq import Split

GalleryName = Literal["original", "union"]
GALLERIES: tuple[GalleryName, ...] = ("original", "union")


def gallery(split: Split, name: GalleryName) -> Sequence[str]:
    """The ids of a gallery. Raises `UserError` if there is nothing to choose from."""
    ids = split.ids if name == "original" else split.queries
    if len(ids) < 2:
        raise UserError(
            f"{split.category}, {split.name}: the gallery {name} has {len(ids)} photo(s); expected at least two"
        )
    return ids
