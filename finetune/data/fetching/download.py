"""One photo after the other from one host, politely: one connection, a pause, no more than was asked for."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Event, Timer
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from finetune.data.fetching.public_hosts import FetchError, open_connection
from metrics.common.version import installed_version

_TIMEOUT = 30.0  # seconds without a byte
_LONGEST = 300.0  # seconds for a photo in all, redirects included, pauses not
_CHUNK = 1 << 16
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 503)
_WAITS = (2.0, 10.0)  # seconds, if a busy server names none
_LONGEST_WAIT = 60.0
_SAFE = "%/:=&?~+!$,;'@()*[]"  # what path and query may have as they are
Host = tuple[str, str]  # scheme, and name with port


@dataclass(frozen=True)
class Manners:
    """How photos are fetched.

    Attributes:
        pause: seconds between two requests to a host.
        most_bytes: of a photo; one that is larger is refused.
        allow_private: whether hosts may have addresses that are not of the public internet.
    """

    pause: float = 0.2
    most_bytes: int = 20_000_000
    allow_private: bool = False


def split_url(url: str) -> SplitResult:
    """A URL taken apart, its path and query escaped. Raises `FetchError` unless it is http or https."""
    try:
        parts = urlsplit(url.strip())
    except ValueError as error:
        raise FetchError(f"no URL ({error})") from error
    if parts.scheme not in ("http", "https"):
        raise FetchError(f"expected a URL with http or https, found {url:.60}")
    return parts._replace(path=quote(parts.path, safe=_SAFE), query=quote(parts.query, safe=_SAFE), fragment="")


class Downloads:
    """The downloads from one host; connections to others, to which it redirects, are kept beside it."""

    def __init__(self, manners: Manners, stopped: Event) -> None:
        self._manners, self._stopped = manners, stopped
        self._connections: dict[Host, HTTPConnection] = {}
        self._socket: socket.socket | None = None  # that of the answer
        self._deadline = 0.0  # on the monotonic clock

    def fetch(self, url: str) -> bytes:
        """The body behind a URL. Raises `FetchError` with the reason why there is none."""
        for wait in (*_WAITS, None):
            try:
                return self._follow(url)
            except _BusyError as error:
                if wait is None:
                    raise FetchError(str(error)) from error
                self._stopped.wait(wait if error.seconds is None else min(error.seconds, _LONGEST_WAIT))
            except FetchError:
                raise
            except (OSError, HTTPException, UnicodeError, ValueError) as error:
                raise FetchError(f"no answer ({error or type(error).__name__})") from error
        raise AssertionError

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        """Hang up after so long: a server that sends a byte now and then, be it of a header, is never silent."""
        self._socket, self._deadline = None, time.monotonic() + seconds
        timer = Timer(seconds, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (FetchError, OSError, HTTPException, ValueError):
            self._refuse_late()
            raise
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        if self._socket:
            with suppress(OSError):  # closed since
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # under TLS, too: no word of farewell

    def _refuse_late(self) -> None:
        if time.monotonic() >= self._deadline:
            raise FetchError(f"takes longer than {_LONGEST:g} s")

    def _follow(self, url: str) -> bytes:
        left = _LONGEST
        for _ in range(_MOST_REDIRECTS + 1):
            parts = split_url(url)
            self._stopped.wait(self._manners.pause)
            with self._limited(left):
                response = self._answer(parts)
                if response.status not in _REDIRECTS:
                    return self._body(response, parts)
                url = urljoin(parts.geturl(), response.headers.get("Location", ""))
                self._discard(response, parts)
                left = self._deadline - time.monotonic()
        raise FetchError(f"redirects more than {_MOST_REDIRECTS} times")

    def _answer(self, parts: SplitResult) -> HTTPResponse:
        host = (parts.scheme, parts.netloc)
        kept = host in self._connections
        if not kept:
            allow = self._manners.allow_private
            self._connections[host] = open_connection(parts, _TIMEOUT, allow_private=allow)
        connection = self._connections[host]
        try:
            connection.request("GET", _path(parts), headers=_HEADERS)
            self._socket = connection.sock
            self._refuse_late()
            response = connection.getresponse()
            self._refuse_late()
        except (OSError, HTTPException, FetchError):
            self._drop(parts)
            self._refuse_late()
            if not kept:
                raise
        else:
            return response
        return self._answer(parts)  # the host had closed the connection since

    def _body(self, response: HTTPResponse, parts: SplitResult) -> bytes:
        if response.status != 200:
            wait = response.headers.get("Retry-After", "")
            self._discard(response, parts)
            if response.status in _BUSY:
                raise _BusyError(response.status, float(wait) if wait.isdecimal() else None)
            raise FetchError(f"HTTP {response.status} {response.reason:.60}")
        content = bytearray()
        try:
            while chunk := response.read1(_CHUNK):
                content += chunk
                if len(content) > self._manners.most_bytes:
                    raise FetchError(f"larger than {self._manners.most_bytes / 1e6:g} MB")
            self._refuse_late()
            if response.length:
                raise FetchError(f"ends {response.length:,} bytes too early")
        except BaseException:
            self._drop(parts)
            raise
        response.close()
        return bytes(content)

    def _discard(self, response: HTTPResponse, parts: SplitResult) -> None:
        """Read a body that is of no use, so that the connection can be used again; drop it if the body is long."""
        response.read(_CHUNK)
        if not response.isclosed():
            self._drop(parts)

    def _drop(self, parts: SplitResult) -> None:
        connection = self._connections.pop((parts.scheme, parts.netloc), None)
        if connection:
            connection.close()


class _BusyError(Exception):
    """The host asks to come again later, after so many `seconds`."""

    def __init__(self, status: int, seconds: float | None) -> None:
        super().__init__(f"HTTP {status}: the host asked to come again later, more than once")
        self.seconds = seconds


_HEADERS = {"User-Agent": f"Lookbook/{installed_version()} (fetch-images)", "Accept": "image/*"}


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
