"""The page of similar items: each query beside its nearest items by photos, by texts, and by both."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import write_text
from metrics.common.ownership import check_page
from metrics.common.templates import render
from metrics.common.version import installed_version
from metrics.photos.folders import folder_named
from metrics.photos.thumbnails import Thumbnail, thumbnail_in, thumbnail_of
from recommend.items.catalogue import Catalogue, Filters
from recommend.items.similar import Query, SimilarItems
from recommend.items.tendency import tendencies

_MARK = '<p class="eyebrow">Lookbook similar items</p>'
_CATEGORIES = 30  # in the plot; the others are one bar


def check_sheet(items: SimilarItems, path: Path, images: Path | None, overwrite: bool = False) -> Catalogue:
    """The table of the items.

    Raises `UserError` if there is none, no such folder of photos, or as `check_page`.
    """
    if items.catalogue is None:
        raise UserError("--html: a page needs the items' table; give --items, the items.parquet that `prepare` wrote")
    if images is not None and not images.is_dir():
        raise UserError(f"--images: expected a folder, found {images}; give the one that the photos' paths start from")
    check_page(path, _MARK, "page of similar items", "--html", overwrite)
    return items.catalogue


def write_sheet(
    items: SimilarItems,
    catalogue: Catalogue,
    queries: Sequence[Query],
    k: int,
    filters: Filters,
    path: Path,
    images: Path | None,
) -> None:
    """Write the page, after `check_sheet`, with the photos in `images` or in the folder that the store names."""
    photos = _Photos(catalogue, images or _folder(items))
    names = items.views.all
    most = min(k, len(items.vectors) - 1)
    searched, shares = tendencies(items.views, names, catalogue, most, filters.siblings)
    view = {
        "queries": [_query(items, catalogue, photos, query, k, filters) for query in queries],
        "catalogue": catalogue,
        "filters": filters,
        "k": k,
        "searched": searched,
        "shares": shares,
        "bars": distribution(catalogue.categories),
        "signatures": [items.views.signature(name, items.views.view(name, k).index.kind) for name in names],
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "lookbook": installed_version(),
    }
    write_text(path, render("similar.html.j2", view, "recommend"))


def distribution(categories: Sequence[str]) -> list[tuple[str, int, float]]:
    """The 30 most frequent categories and the others: name, items, and length relative to the longest bar, 0 to 1."""
    counts = Counter(category or "no category" for category in categories)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    bars, rest = ranked[:_CATEGORIES], ranked[_CATEGORIES:]
    if rest:
        bars.append((f"{len(rest)} others", sum(count for _, count in rest)))
    longest = max(count for _, count in bars)
    return [(name, count, count / longest) for name, count in bars]


class _Photos:
    """Thumbnails of items, each made once."""

    def __init__(self, catalogue: Catalogue, folder: Path | None) -> None:
        self.catalogue, self.folder = catalogue, folder
        self.of = lru_cache(maxsize=None)(self._of)

    def _of(self, place: int) -> Thumbnail:
        return thumbnail_in(self.folder, self.catalogue.images[place])


def _folder(items: SimilarItems) -> Path | None:
    """The folder of the photos that a store names, if it may."""
    stores = [store for store in items.vectors.stores if store.about.folder]
    return folder_named(Path(str(stores[0].about.folder)), stores[0].path) if stores else None


def _query(
    items: SimilarItems, catalogue: Catalogue, photos: _Photos, query: Query, k: int, filters: Filters
) -> dict[str, Any]:
    columns = []
    for name in items.views.of_parts(query.parts):
        found = items.nearest(query, k, name, filters)
        cards = [
            _card(catalogue, photos, int(place), query.place) | {"cosine": float(cosine)}
            for place, cosine in zip(found.places, found.cosines, strict=True)
        ]
        columns.append({"name": name, "cards": cards})
    if query.place is not None:
        return {"own": _card(catalogue, photos, query.place, None), "columns": columns}
    return {"own": {"id": query.name, "photo": _given_photo(query)}, "columns": columns}


def _card(catalogue: Catalogue, photos: _Photos, place: int, of: int | None) -> dict[str, Any]:
    """An item, and whether it agrees with the item `of`, None where that cannot be said."""
    card: dict[str, Any] = {"id": catalogue.ids[place], "photo": photos.of(place)}
    card["description"] = catalogue.descriptions[place]
    for name, values in (("category", catalogue.categories), ("colour", catalogue.colours)):
        card[name] = values[place]
        card[f"same_{name}"] = None if of is None or not values[of] else values[of] == values[place]
    return card


def _given_photo(query: Query) -> Thumbnail:
    path = Path(query.photo) if query.photo else None
    return Thumbnail(problem="a sentence") if path is None else thumbnail_of(path)
