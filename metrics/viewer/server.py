"""The viewer's server, only on 127.0.0.1."""

import socket
from collections.abc import Sequence
from contextlib import closing, suppress

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metrics.common.errors import UserError
from metrics.viewer.index import Index
from metrics.viewer.pages import ROUTES, error_page
from metrics.viewer.photos import Photos
from metrics.viewer.viewer import Extension, Viewer, viewer_of

HOST = "127.0.0.1"
_HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_READING = ("GET", "HEAD", "OPTIONS")


def build_app(index: Index, photos: Photos, extensions: Sequence[Extension] = ()) -> Starlette:
    """Return the viewer as an ASGI application.

    Every response has headers that forbid scripts and anything from elsewhere. Requests whose Host is not this
    machine's, and those that write with an Origin that is not this server's, are refused (400, 403). A `UserError`
    becomes a page with its message (400), an `HTTPException` one with its detail.

    Args:
        index: the items, captions and scores.
        photos: the items' photos.
        extensions: what other modules add: routes, links, a form on the page of an item.
    """
    routes = [route for extension in extensions for route in extension.routes]
    app = Starlette(
        routes=[*routes, *ROUTES],
        middleware=[
            Middleware(_Safe),
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
        ],
        exception_handlers=dict.fromkeys((UserError, HTTPException, Exception), _explained),
    )
    app.state.viewer = Viewer(index, photos, extensions)
    return app


class _Safe:
    """Adds the headers to every response; refuses to write for a page of another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        request = Request(scope)
        if request.method not in _READING and not _is_own(request):
            refusal = PlainTextResponse("This page may only be written to from itself.", 403)
            await refusal(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)


def _is_own(request: Request) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origin = request.headers.get("origin")
    return origin is None or origin == f"http://{request.headers.get('host')}"


def _explained(request: Request, error: Exception) -> Response:
    """The page of an error, without a traceback; the server prints that of an unexpected one on the terminal."""
    status, message = 500, f"This page failed: {type(error).__name__}. The terminal says more."
    if isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
    elif isinstance(error, UserError):
        status, message = 400, str(error)
    page = error_page(viewer_of(request), status, message)
    page.headers.update(_HEADERS)  # an unexpected error has left the middleware behind
    return page


def serve(app: Starlette, port: int) -> None:
    """Serve on 127.0.0.1 until it is interrupted, and print the URL; port 0 is any that is free.

    Raises:
        UserError: when the port is in use, or this user may not listen on it.
    """
    with closing(socket.socket()) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"cannot listen on port {port} of {HOST}: {reason}; give another one by --port") from error
        listening.listen()
        print(f"http://{HOST}:{listening.getsockname()[1]}/  (Ctrl-C ends it)", flush=True)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", ws="none", proxy_headers=False, timeout_graceful_shutdown=2
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
