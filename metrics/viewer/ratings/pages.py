"""The pages on which people rate captions, knowing the systems or blind, and what they said."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from metrics.common.errors import UserError
from metrics.viewer.index import Index, Places
from metrics.viewer.listing import Neighbours
from metrics.viewer.ratings.export import to_csv
from metrics.viewer.ratings.forms import Sheet, make_sheet, read_fields, read_rater, read_ratings
from metrics.viewer.ratings.matching import match
from metrics.viewer.ratings.reports import TITLES, bounds, counts, notes, summary_of, value
from metrics.viewer.ratings.store import LONGEST_NOTE, LONGEST_RATER, RATINGS, Rating, RatingStore
from metrics.viewer.selection import parameters
from metrics.viewer.viewer import Extension, Viewer, viewer_of

_TYPE, _LARGEST = "application/x-www-form-urlencoded", 2**21  # bytes of a form
_SENT_TO = ("/rate", "/item")
_OF_PAGE = ("id", "rater", "blind")
_OF_FORM = ("item", "rater", "blind", "sheet", "to", "query", "go")
_BLIND = ("q", "category", "slice", "first", "products")  # what a blind page may select items by: no system, no score


class RatingPages:
    """The viewer's pages of one file of ratings.

    `/rate` shows one item with a form, `POST /ratings` saves a form, `GET /ratings` is the summary, `/ratings.json` and
    `/ratings.csv` are the same as data. The page of an item gets a form, too.
    """

    def __init__(self, store: RatingStore) -> None:
        self.store = store
        self._last: tuple[list[Rating], dict[str, Any]] = ([], {})

    def extension(self) -> Extension:
        """Return what the viewer is given."""
        routes = [
            Route("/rate", self.rate),
            Route("/ratings", self.save, methods=["POST"]),
            Route("/ratings", self.summary),
            Route("/ratings.json", self.data),
            Route("/ratings.csv", self.table),
        ]
        links = {"Rate blind": "/rate?blind=1", "Ratings": "/ratings"}
        form = "rate_item.html.j2"
        return Extension(routes=routes, links=links, parameters=["rater"], item_form=form, item_view=self._below_item)

    def rate(self, request: Request) -> Response:
        """Show an item's captions with a form; without `rater` ask for it, without `id` go to what is not rated yet."""
        viewer = viewer_of(request)
        blind = _is_blind(request)
        selection, others = viewer.selection(request, _OF_PAGE)
        given = parameters(selection, viewer.index) | {name: value for name, value in others.items() if value}
        if "rater" not in given:
            return viewer.page("rater.html.j2", {"given": given, "blind": blind, "longest": LONGEST_RATER})
        rater, places = read_rater(given["rater"]), viewer.listings.places(selection)
        done = np.isin(places, self._rated(viewer.index, rater, blind))
        if "id" not in given:
            return _first(viewer, given, places[np.argsort(done, kind="stable")])
        place = viewer.index.place(given["id"])
        if place is None:
            raise HTTPException(404, f"No item has the id {given['id']!r:.200}.")
        neighbours = viewer.listings.neighbours(selection, place)
        shown = {
            "rating": self._form(viewer.index, place, rater, blind) | _sent(viewer, "/rate", given, neighbours),
            "item": viewer.index.item(place),
            "place": place,
            "number": neighbours.number,
            "count": len(places),
            "done": int(done.sum()),
            "unrated_url": _url("/rate", {**given, "id": ""}),
        }
        return viewer.page("rate.html.j2", shown)

    async def save(self, request: Request) -> Response:
        """Save a form and go where it says."""
        fields = read_fields(await _read_body(request))
        return await run_in_threadpool(self._save, viewer_of(request).index, fields)

    def summary(self, request: Request) -> Response:
        """What people said."""
        viewer = viewer_of(request)
        shown = {"summary": self._summary(viewer.index), "titles": TITLES, "ratings": RATINGS, "path": self.store.path}
        return viewer.page(
            "ratings.html.j2", shown | {"value": value, "bounds": bounds, "notes": notes, "counts": counts}
        )

    def data(self, request: Request) -> Response:
        """The summary as JSON."""
        return JSONResponse(self._summary(viewer_of(request).index))

    def table(self, _request: Request) -> Response:
        """All ratings as CSV."""
        headers = {"content-disposition": 'attachment; filename="ratings.csv"'}
        return Response(to_csv(self.store.all()), media_type="text/csv", headers=headers)

    def _below_item(self, request: Request, place: int) -> Mapping[str, Any]:
        """What the form on the page of an item needs: without a `rater` in the URL, it asks for one."""
        viewer = viewer_of(request)
        selection, others = viewer.selection(request, ("id", "rater"))
        chosen = parameters(selection, viewer.index)
        given = {**chosen, **others}
        blind = {name: value for name, value in chosen.items() if name in _BLIND}
        blind |= {"id": others["id"], "rater": others.get("rater", ""), "blind": 1}
        key = viewer.index.item(place).id
        said = self.store.of_item(key)
        ours = set(match(said, {key: _captions(viewer.index, place)}).ratings.values())
        shown: dict[str, Any] = {
            "rating": None,
            "said": [{"rating": one, "other": one not in ours} for one in said],
            "longest": LONGEST_RATER,
            "blind_url": _url("/rate", blind),
        }
        if others.get("rater"):
            rater = read_rater(others["rater"])
            sent = _sent(viewer, "/item", given, viewer.listings.neighbours(selection, place))
            shown["rating"] = self._form(viewer.index, place, rater, False) | sent
        return shown

    def _form(self, index: Index, place: int, rater: str, blind: bool) -> dict[str, Any]:
        """What the template of the form has; blind, nothing of it tells the systems."""
        key = index.item(place).id
        captions = _captions(index, place)
        sheet = make_sheet(key, rater, blind, captions)
        said = self._said(sheet, captions)
        lines = [
            {
                "letter": letter,
                "system": None if blind else name,
                "caption": captions[name],
                "said": said.get(name),
            }
            for letter, name in sheet.systems.items()
        ]
        return {"sheet": sheet, "lines": lines, "numbers": RATINGS, "longest": LONGEST_NOTE}

    def _said(self, sheet: Sheet, captions: Mapping[str, str | None]) -> dict[str, Rating]:
        """Return what the rater of a sheet has said of its captions, by the systems' names of today."""
        said = [one for one in self.store.of_item(sheet.item) if (one.rater, one.blind) == (sheet.rater, sheet.blind)]
        matched = match(said, {sheet.item: captions}).ratings
        return {name: one for (_, _, _, name), one in matched.items()}

    def _summary(self, index: Index) -> dict[str, Any]:
        """Return the summary, the last one if nothing was said since."""
        ratings, (known, summary) = self.store.all(), self._last
        if not summary or ratings != known:
            summary = summary_of(ratings, index)
            self._last = ratings, summary
        return summary

    def _rated(self, index: Index, rater: str, blind: bool) -> list[int]:
        """Return the places of the items of which a rater has rated a caption."""
        said = self.store.by_rater(rater, blind)
        places = {key: place for key in {one.item for one in said} if (place := index.place(key)) is not None}
        matched = match(said, {key: _captions(index, place) for key, place in places.items()}).ratings
        return [places[one.item] for one in matched.values() if one.rating]

    def _save(self, index: Index, fields: dict[str, str]) -> Response:
        form = {name: fields.pop(name, "") for name in _OF_FORM}
        place = index.place(form["item"])
        if place is None:
            raise UserError(f"item: expected the id of an item, found {form['item']!r:.200}")
        if form["to"] not in _SENT_TO:
            raise UserError(f"to: expected {' or '.join(_SENT_TO)}, found {form['to']!r:.100}")
        captions = _captions(index, place)
        sheet = make_sheet(form["item"], read_rater(form["rater"]), _read_blind(form["blind"]), captions)
        if form["sheet"] != sheet.digest:
            raise UserError("sheet: the form was made of other captions than those shown now; reload its page")
        said = self._said(sheet, captions)  # perhaps stored when the system's name had another number
        ratings = read_ratings(fields, sheet)
        self.store.save(replace(one, system=said.get(one.system, one).system) for one in ratings)
        query = dict(parse_qsl(form["query"])) | {"id": form["go"] or form["item"]}
        return RedirectResponse(f"{_url(form['to'], query)}#rate", 303)


def _captions(index: Index, place: int) -> dict[str, str | None]:
    """Return the captions of an item by the systems' names."""
    return dict(zip(index.names, index.texts(place), strict=True))


def _is_blind(request: Request) -> bool:
    """Whether a page is blind; then nothing it is asked for may tell, or make an error tell, systems and scores."""
    blind = _read_blind(request.query_params.get("blind", ""))
    wrong = next((name for name in request.query_params if name not in (*_BLIND, *_OF_PAGE)), None)
    if blind and wrong:
        raise UserError(f"{wrong!r:.100}: blind, items are selected by {', '.join(_BLIND)}; take it away")
    return blind


def _read_blind(value: str) -> bool:
    if value not in ("", "0", "1"):
        raise UserError(f"blind: expected 0 or 1, found {value!r:.100}")
    return value == "1"


def _first(viewer: Viewer, given: Mapping[str, Any], places: Places) -> Response:
    if not len(places):
        raise HTTPException(404, "No item is selected: there is nothing to rate.")
    return RedirectResponse(_url("/rate", {**given, "id": viewer.index.item(int(places[0])).id}), 303)


def _sent(viewer: Viewer, to: str, given: Mapping[str, Any], neighbours: Neighbours) -> dict[str, Any]:
    """Where the form's buttons, and links beside it, lead."""
    ids = {
        name: None if place is None else viewer.index.item(place).id
        for name, place in (("previous", neighbours.previous), ("next", neighbours.next))
    }
    urls = {f"{name}_url": None if key is None else _url(to, {**given, "id": key}) for name, key in ids.items()}
    return {"to": to, "query": urlencode(given), "next": ids["next"], **urls}


def _url(path: str, given: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(given)}"


async def _read_body(request: Request) -> bytes:
    found = request.headers.get("content-type", "").partition(";")[0].strip()
    if found != _TYPE:
        raise UserError(f"expected a form as {_TYPE}, found {found or 'no type'!r:.100}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise UserError(f"expected a form of at most {_LARGEST:,} bytes, found more")
    return bytes(body)
