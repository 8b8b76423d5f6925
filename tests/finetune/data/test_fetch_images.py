"""`fetch-images`: photos behind the URLs of a table; politely, again where it stopped, and never from inside a network."""

import csv
import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import tiny
from PIL import Image

from finetune.config.catalogues import Columns, Folder
from finetune.data.catalogues import loader_of
from finetune.data.fetching import download, public_hosts
from finetune.data.fetching.download import Downloads, Manners
from finetune.data.fetching.public_hosts import FetchError, is_public


def png(side: int = 8) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 160)).save(content, "png")
    return content.getvalue()


class Shop(BaseHTTPRequestHandler):
    """Serves /photo*, and in other paths what may go wrong."""

    protocol_version = "HTTP/1.1"
    requests: ClassVar[Counter[str]] = Counter()
    connections: ClassVar[set[Any]] = set()
    agents: ClassVar[set[str | None]] = set()
    times: ClassVar[list[float]] = []

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        Shop.requests[self.path] += 1
        Shop.connections.add(self.client_address)
        Shop.agents.add(self.headers["User-Agent"])
        Shop.times.append(time.monotonic())
        if self.path.startswith("/slow"):
            self.close_connection = True
            return self.drip(chunk=self.path.startswith("/slow-chunk"))
        status, body, headers = 200, png(), {}
        if self.path.startswith("/gone"):
            status, body = 404, b"gone"
        elif self.path.startswith("/page"):
            body = b"<html>log in</html>"
        elif self.path.startswith("/large"):
            body = bytes(3000)
        elif self.path.startswith("/busy"):
            status = 503 if Shop.requests[self.path] == 1 else 200
            headers = {"Retry-After": "0"}
        elif self.path.startswith("/moved"):
            status, body, headers = 302, b"", {"Location": "/photo-of-moved.png"}
        elif self.path.startswith("/away"):
            status, body, headers = 302, b"", {"Location": self.path.partition("?")[2]}
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:20] if self.path.startswith("/cut") else body)
        self.close_connection = self.path.startswith("/cut")
        return None

    def drip(self, *, chunk: bool) -> None:
        """Send an endless header, or the endless length of a chunk, for five seconds or until nobody listens."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n1;" if chunk else b"X: "))
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b"a")
                time.sleep(0.05)
            self.wfile.write(b"\r\n\r\n")


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of a shop on this machine."""
    Shop.requests.clear()
    Shop.connections.clear()
    Shop.times.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(table: Path, *options: Any) -> Any:
    return tiny.finetune(
        "fetch-images", table, "--out", table.parent / "out", "--allow-private", "--pause", 0, *options
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


PATHS = ["photo-1.png", "photo-1.png", "photo ü.PNG?size=large", "moved", "busy", "gone", "page", "large", "cut", ""]


def test_photos_are_fetched_and_the_rest_is_named(shop: str, tmp_path: Path) -> None:
    rows = [
        {"sku": f"{n:03d}", "title": f"top {n}", "image": f"{shop}/{path}" if path else ""}
        for n, path in enumerate(PATHS)
    ]
    rows[-1]["image"] = " "
    rows.append({"sku": "099", "title": "a file", "image": "file:///etc/passwd"})
    table = tiny.write_csv(tmp_path / "shop.csv", rows)
    result = fetch(table, "--megabytes", 0.002)
    assert result.exit_code == 0, result.output
    assert "photos of 5 rows, from the column image" in result.stdout
    kept = rows_of(tmp_path / "out" / "metadata.csv")
    assert [row["sku"] for row in kept] == ["000", "001", "002", "003", "004"]
    assert len({row["file_name"] for row in kept}) == 5
    assert (tmp_path / "out" / kept[1]["file_name"]).samefile(tmp_path / "out" / kept[0]["file_name"])
    assert all((tmp_path / "out" / row["file_name"]).read_bytes() == png() for row in kept)
    assert Shop.requests["/photo-1.png"] == 1
    assert Shop.requests["/busy"] == 2
    assert {agent.partition("/")[0] for agent in Shop.agents if agent} == {"Lookbook"}
    reasons = {row["url"].removeprefix(shop): row["reason"] for row in rows_of(tmp_path / "out" / "failed.csv")}
    assert reasons["/gone"] == "HTTP 404 Not Found"
    assert reasons["/large"] == "larger than 0.002 MB"
    assert "image" in reasons["/page"]
    assert "ends" in reasons["/cut"]
    assert reasons["row 10"] == "has no URL"
    assert "expected a URL with http or https" in reasons["file:///etc/passwd"]
    assert list(tmp_path.rglob("*.tmp")) == []
    section = Folder(catalogue="folder", folder=str(tmp_path / "out"))
    for columns in (Columns(), Columns(id="sku")):
        catalogue = loader_of(section.model_copy(update={"columns": columns})).load()
        assert catalogue.described["caption"].tolist() == [f"top {number}" for number in range(5)]
    assert fetch(table, "--megabytes", 0.002).exit_code == 0
    assert rows_of(tmp_path / "out" / "metadata.csv") == kept


def test_one_connection_with_pauses_and_nothing_twice(shop: str, tmp_path: Path) -> None:
    table = tiny.write_csv(tmp_path / "shop.csv", [{"url": f"{shop}/photo-{number}.png"} for number in range(4)])
    assert fetch(table, "--pause", 0.05).exit_code == 0
    assert len(Shop.connections) == 1
    assert all(after - before >= 0.04 for before, after in zip(Shop.times, Shop.times[1:], strict=False))
    photos = sorted((tmp_path / "out" / "images").iterdir())
    photos[0].unlink()
    changed = photos[1].stat().st_mtime_ns
    assert fetch(table).exit_code == 0
    assert sum(Shop.requests.values()) == 5
    assert photos[1].stat().st_mtime_ns == changed
    assert len(list((tmp_path / "out" / "images").iterdir())) == 4


def test_files_of_others_are_not_replaced(shop: str, tmp_path: Path) -> None:
    table = tiny.write_csv(tmp_path / "shop.csv", [{"url": f"{shop}/photo.png"}])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metadata.csv").write_text("mine")
    assert "holds what Lookbook did not write there: metadata.csv" in fetch(table).stderr
    (tmp_path / "out" / "metadata.csv").unlink()
    assert fetch(table).exit_code == 0
    (tmp_path / "out" / "metadata.csv").write_text("mine")
    assert "was changed since fetch-images wrote it" in fetch(table).stderr
    assert (tmp_path / "out" / "metadata.csv").read_text() == "mine"
    assert json.loads((tmp_path / "out" / "fetch-images.json").read_text())["written"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"image": "photo.jpg", "title": "a"}], "no column of URLs (http or https) found among image, title"),
        ([{"url": "http:///photo.jpg"}], "names no host"),
        ([{"url": "http://[::1/photo.jpg"}], "no URL"),
    ],
)
def test_a_table_without_usable_urls_is_refused(tmp_path: Path, rows: list[tiny.Row], message: str) -> None:
    result = fetch(tiny.write_csv(tmp_path / "shop.csv", rows))
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fec0::1",
        "64:ff9b:1::7f00:1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "::",
    ],
)
def test_addresses_inside_a_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_this_machine_is_refused_by_name_by_number_and_after_redirects(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = shop.rpartition(":")[2]
    downloads = Downloads(Manners(pause=0), threading.Event())
    for url in (shop, f"http://localhost:{port}/photo.png", f"http://2130706433:{port}/", f"http://127.1:{port}/"):
        with pytest.raises(FetchError, match="no address of the public internet"):
            downloads.fetch(url)
    assert not Shop.requests

    def public_first(address: str) -> bool:
        return not Shop.requests and is_public("93.184.216.34")

    monkeypatch.setattr(public_hosts, "is_public", public_first)  # the shop is public, where it redirects to is not
    with pytest.raises(FetchError, match="no address of the public internet"):
        downloads.fetch(f"{shop}/away?http://localhost:{port}/photo.png")
    with pytest.raises(FetchError, match="expected a URL with http or https, found file:///etc/passwd"):
        downloads.fetch(f"{shop}/away?file:///etc/passwd")
    assert set(Shop.requests) == {f"/away?http://localhost:{port}/photo.png", "/away?file:///etc/passwd"}
    downloads.close()


def test_the_address_that_was_checked_is_the_one_connected_to(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves otherwise the second time gains nothing: it is resolved once."""
    port = int(shop.rpartition(":")[2])
    asked = []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    downloads = Downloads(Manners(pause=0, allow_private=True), threading.Event())
    assert downloads.fetch(f"http://shop.example:{port}/photo.png") == png()
    downloads.close()
    assert asked == ["shop.example"]


def test_rows_that_were_fetched_are_not_lost_to_another_table(shop: str, tmp_path: Path) -> None:
    first = tiny.write_csv(tmp_path / "shop.csv", [{"url": f"{shop}/photo-{number}.png"} for number in range(2)])
    other = tiny.write_csv(tmp_path / "other.csv", [{"url": f"{shop}/photo-3.png"}])
    gone = tiny.write_csv(tmp_path / "gone.csv", [{"url": f"{shop}/gone"}])
    made = tmp_path / "out" / "metadata.csv"
    assert fetch(first).exit_code == 0
    kept = made.read_bytes()
    for table in (other, gone):
        assert f"has the rows of {first}, not of {table}; give another --out, or --overwrite" in fetch(table).stderr
    assert "would replace" in fetch(made, "--out", made.parent).stderr
    assert "no photo could be fetched" in fetch(gone, "--overwrite").stderr
    assert made.read_bytes() == kept
    assert rows_of(tmp_path / "out" / "failed.csv")[0]["url"] == f"{shop}/gone"
    assert fetch(first.rename(tmp_path / "renamed.csv")).exit_code == 0
    assert fetch(other, "--overwrite").exit_code == 0
    assert len(rows_of(made)) == 1


@pytest.mark.parametrize("path", ["slow-header", "slow-chunk", "away?/slow-header"])
def test_a_server_that_is_slow_but_never_silent_is_left(shop: str, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(download, "_LONGEST", 0.3)
    downloads = Downloads(Manners(pause=0.1, allow_private=True), threading.Event())
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"takes longer than 0\.3 s"):
        downloads.fetch(f"{shop}/{path}")
    assert time.monotonic() - began < 3
    downloads.close()


@pytest.mark.parametrize("option", ["--pause", "--megabytes"])
@pytest.mark.parametrize("value", ["inf", "1e300", "nan", "-1"])
def test_numbers_without_bounds_are_refused(tmp_path: Path, option: str, value: str) -> None:
    result = fetch(tiny.write_csv(tmp_path / "shop.csv", [{"url": "file:///a.png"}]), option, value)
    assert result.exit_code == 2
    assert option in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
