"""What all pages of the viewer share: the index, the photos, templates, and what other modules add."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute

from metrics.common.errors import UserError
from metrics.common.templates import template_environment
from metrics.viewer.index import Index
from metrics.viewer.listing import Listings
from metrics.viewer.photos import Photos
from metrics.viewer.selection import Selection, parameters, read_selection


def _nothing(_request: Request, _place: int) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What another module adds to the viewer; see `server.build_app`.

    Attributes:
        routes: further pages. Their endpoints find the `Viewer` by `viewer_of(request)`; templates of theirs that
            extend `viewer.html.j2` get its navigation. They come before the viewer's own routes.
        links: label to URL, in the navigation of every page.
        parameters: names of GET parameters that `/items` and `/item` accept beside their own, and keep.
        item_form: a template, included below the captions of an item's page; it has the names of `item_view`, and
            `view` (the `ItemView`).
        item_view: the names that `item_form` needs, given the request and the place of the item.
    """

    routes: Sequence[BaseRoute] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    parameters: Sequence[str] = ()
    item_form: str | None = None
    item_view: Callable[[Request, int], Mapping[str, Any]] = _nothing


@dataclass(frozen=True)
class Viewer:
    """The scoring that is shown, and how pages are made; the same for all requests."""

    index: Index
    photos: Photos
    extensions: Sequence[Extension] = ()

    @cached_property
    def listings(self) -> Listings:
        """The lists of items."""
        return Listings(self.index)

    @cached_property
    def _templates(self) -> Environment:
        return template_environment("metrics.viewer")

    @property
    def kept(self) -> list[str]:
        """The parameters that extensions add to those of `/items` and `/item`."""
        return [name for extension in self.extensions for name in extension.parameters]

    def page(self, template: str, view: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        """Fill a template, which also has `index`, and `links` for the navigation."""
        links = {label: url for extension in self.extensions for label, url in extension.links.items()}
        text = self._templates.get_template(template).render({"index": self.index, "links": links, **view})
        return HTMLResponse(text.encode("utf-8", "backslashreplace"), status)

    def selection(self, request: Request, also: Sequence[str] = ()) -> tuple[Selection, dict[str, str]]:
        """Return the selection of the request's URL, and those of its parameters that are named by `also`.

        Raises:
            UserError: when a parameter is unknown, given twice or wrong.
        """
        known = {*Selection.__dataclass_fields__, *also}
        given: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known or name in given:
                problem = "is given twice" if name in given else f"is unknown; expected {', '.join(sorted(known))}"
                raise UserError(f"{name!r:.100} {problem}")
            given[name] = value
        others = {name: given.pop(name) for name in also if name in given}
        return read_selection(self.index, given), others

    def link(self, path: str, selection: Selection, changes: Mapping[str, Any]) -> str:
        """Return the URL of a page of a selection; of `changes`, parameters that are None are taken away."""
        given = {**parameters(selection, self.index), **changes}
        query = urlencode(
            {name: value for name, value in given.items() if value is not None}, errors="backslashreplace"
        )
        return f"{path}?{query}" if query else path


def viewer_of(request: Request) -> Viewer:
    """The viewer that serves a request."""
    viewer: Viewer = request.app.state.viewer
    return viewer
