"""The pages: start, lists of items, one item, photos. Every state of a page is its URL."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from metrics.common.errors import UserError
from metrics.photos.thumbnails import NoPhotoError
from metrics.viewer.item_views import item_views
from metrics.viewer.photos import SIZES
from metrics.viewer.selection import DIFFERENCE, DISAGREEMENT, Selection, default_selection, parameters, whole
from metrics.viewer.viewer import Viewer, viewer_of

# How a list can be shown, and how many items a page of it has.
VIEWS = {"table": 50, "gallery": 24, "plots": 0}
FIRST, PRODUCTS = 20, 3  # what the paper shows of H&M's and of FACAD's test set


def start(request: Request) -> Response:
    """The systems with their scores, and lists to begin with."""
    viewer = viewer_of(request)
    selection, _ = viewer.selection(request)
    return viewer.page("start.html.j2", _shared(viewer, selection) | {"first": FIRST, "products": PRODUCTS})


def items(request: Request) -> Response:
    """The selected items as a table or as cards, a page of them; or the distribution of their scores."""
    viewer = viewer_of(request)
    selection, others = viewer.selection(request, ("view", "page", *viewer.kept))
    view, number = others.pop("view", "") or "table", others.pop("page", "") or "1"
    if view not in VIEWS:
        raise UserError(f"view: expected one of {', '.join(VIEWS)}; found {view!r:.100}")
    places = viewer.listings.places(selection)
    shown = _shared(viewer, selection, others)
    shown |= {"view": view, "count": len(places), "filters": _filters(viewer, selection)}
    if view == "plots":
        return viewer.page("plots.html.j2", shown | {"charts": viewer.listings.charts(selection)})
    pages = max(1, -(-len(places) // VIEWS[view]))
    page = whole("page", number)
    if page > pages:
        raise UserError(f"page: expected at most {pages:,}, found {page:,}")
    before = (page - 1) * VIEWS[view]
    systems = [viewer.index.names.index(name) for name in (selection.system, selection.versus) if name is not None]
    rows = item_views(viewer.index, places[before : before + VIEWS[view]], [*dict.fromkeys(systems)])
    return viewer.page(f"{view}.html.j2", shown | {"rows": rows, "before": before, "page": page, "pages": pages})


def item(request: Request) -> Response:
    """One item with all that is known of it, and what lies before and after it in the selected order."""
    viewer = viewer_of(request)
    selection, others = viewer.selection(request, ("id", *viewer.kept))
    key = others.pop("id", "")
    place = viewer.index.place(key)
    if place is None:
        raise HTTPException(404, f"No item has the id {key!r:.200}." if key else "id: expected the id of an item.")
    neighbours = viewer.listings.neighbours(selection, place)
    [view] = item_views(viewer.index, [place])
    shown = _shared(viewer, selection, others) | {
        "view": view,
        "references": view.references(selection.system),
        "source": viewer.index.source(place),
        "number": neighbours.number,
        "previous": _id(viewer, neighbours.previous),
        "next": _id(viewer, neighbours.next),
        "count": len(viewer.listings.places(selection)),
        "list_page": -(-(neighbours.number or 1) // VIEWS["table"]),
        "forms": [extension.item_form for extension in viewer.extensions if extension.item_form],
    }
    for extension in viewer.extensions:
        shown |= extension.item_view(request, place)
    return viewer.page("item.html.j2", shown)


def photo(request: Request) -> Response:
    """An item's photo as JPEG, or a drawing with the reason why there is none."""
    viewer, place = viewer_of(request), request.path_params["place"]
    size = request.query_params.get("size", "small")
    if size not in SIZES or place >= len(viewer.index):
        raise HTTPException(404, f"No such photo; expected one of {len(viewer.index):,} items, small or large.")
    try:
        image = viewer.index.item(place).image
        return Response(viewer.photos.jpeg(image, size), media_type="image/jpeg")
    except NoPhotoError as error:
        page = viewer.page("no_photo.svg.j2", {"reason": str(error)})
        return Response(page.body, media_type="image/svg+xml")


def style(request: Request) -> Response:
    """The style of all pages."""
    return Response(viewer_of(request).page("viewer.css.j2", {}).body, media_type="text/css")


def error_page(viewer: Viewer, status: int, message: str) -> HTMLResponse:
    """A page that says what went wrong."""
    return viewer.page("error.html.j2", _shared(viewer, default_selection(viewer.index)) | {"message": message}, status)


def _shared(viewer: Viewer, selection: Selection, others: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the templates of all pages have: the selection, its parameters and links from it."""
    given = parameters(selection, viewer.index) | dict(others or {})
    return {
        "selection": selection,
        "given": given,
        "link": lambda path, **changes: viewer.link(path, selection, {**(others or {}), **changes}),
        "sorts": (*viewer.index.measures, DIFFERENCE, DISAGREEMENT),
    }


def _id(viewer: Viewer, place: int | None) -> str | None:
    return None if place is None else viewer.index.item(place).id


def _filters(viewer: Viewer, selection: Selection) -> dict[str, list[str]]:
    """What restricts a selection, in words, with the parameters to take away to be rid of it."""
    score, versus = (
        f"{selection.measure} of {selection.system}",
        f"{selection.measure}: {selection.system} less {selection.versus}",
    )
    ranges = ((score, "min", "max"), (versus, "diff_min", "diff_max"))
    words: dict[str, list[str]] = {}
    if selection.q:
        terms = ", ".join(selection.terms) or "nothing, since there is no word in it"
        words[f"search for {terms}"] = ["q"]
    for name in ("category", "slice"):
        if getattr(selection, name):
            words[f"{name}: {getattr(selection, name)}"] = [name]
    if selection.first:
        words[f"first {selection.first:,} items"] = ["first"]
    if selection.products:
        words[f"first {selection.products:,} products"] = ["products"]
    for of, low, high in ranges:
        lowest, highest = getattr(selection, low), getattr(selection, high)
        if lowest is not None or highest is not None:
            words[f"{of}: {_bound(lowest)} to {_bound(highest)}"] = [low, high]
    return words


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


ROUTES = (
    Route("/", start),
    Route("/items", items),
    Route("/item", item),
    Route("/photo/{place:int}", photo),
    Route("/style.css", style),
)
