"""`lookbook install-spice`: from a folder, from a server, and what does not count as installed."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dead_drafts import dead_draft
from spice_jars import installed_jars
from typer.testing import CliRunner, Result

from metrics.__main__ import app
from metrics.measures.spice.install import JARS, jar_folder, lacking
from metrics.measures.spice.measure import Spice

SMALL = tuple(jar for jar in JARS if jar.size < 2_000_000)
ENGINE = next(jar for jar in JARS if jar.artifact == "rhino-engine")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the small jars, which are all there is to install."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for jar in SMALL:
        shutil.copy(installed_jars() / jar.name, folder)
    monkeypatch.setattr("metrics.measures.spice.install.JARS", SMALL)
    return folder


@pytest.fixture
def server(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same jars on a server, laid out as on Maven Central."""
    root = tmp_path / "maven"
    for jar in SMALL:
        place = root / Path(*jar.group.split("."), jar.artifact, jar.version)
        place.mkdir(parents=True)
        shutil.copy(source / jar.name, place)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(root)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.setattr("metrics.measures.spice.install._CENTRAL", f"http://127.0.0.1:{httpd.server_port}")
    yield root
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def install() -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(app, ["install-spice", *map(str, arguments)])


def test_from_a_folder_and_again(install: Callable[..., Result], source: Path) -> None:
    assert Spice().absent() == "not installed, run `lookbook install-spice`"
    first = install("--from", source)
    assert first.exit_code == 0, first.output
    assert "rhino-1.7.15.jar, 1.4 MB, licence MPL 2.0" in first.stderr
    assert Spice().absent() is None
    assert "already installed" in install("--from", source).stderr


def test_from_the_server_into_our_cache_alone(
    install: Callable[..., Result], server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    dead_draft(jar_folder() / "incoming")
    result = install()
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in jar_folder().iterdir()) == sorted(jar.name for jar in SMALL)
    assert not (tmp_path / "home").exists()


def test_a_wrong_file_is_named_and_not_kept(install: Callable[..., Result], source: Path) -> None:
    path = source / ENGINE.name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    result = install("--from", source)
    assert result.exit_code == 2
    assert f"{path} is not the expected file: its SHA-256 is" in result.stderr
    assert [jar.name for jar in lacking()] == [ENGINE.name]
    assert not list(jar_folder().glob(f"**/{ENGINE.name}"))


def test_a_wrong_file_from_the_server(install: Callable[..., Result], server: Path) -> None:
    [path] = server.glob(f"**/{ENGINE.name}")
    path.write_bytes(b"an error page")
    result = install()
    assert result.exit_code == 2
    assert (
        f"{ENGINE.address.removeprefix('https://repo.maven.apache.org/maven2/')} is not the expected" in result.stderr
    )
    assert Spice().absent()


def test_a_folder_without_the_jar(install: Callable[..., Result], source: Path) -> None:
    (source / ENGINE.name).unlink()
    result = install("--from", source)
    assert result.exit_code == 2
    assert f"{source} has no {ENGINE.name}; fetch it from https://" in result.stderr


def test_no_network(install: Callable[..., Result], source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.measures.spice.install._CENTRAL", "http://127.0.0.1:9")
    result = install()
    assert result.exit_code == 2
    assert "cannot fetch http://127.0.0.1:9/org/mozilla/rhino" in result.stderr
    assert "install-spice --from FOLDER" in result.stderr


def test_a_full_disk(install: Callable[..., Result], source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(source)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    result = install("--from", source)
    assert result.exit_code == 2
    assert "SPICE needs 1 MB" in result.stderr
    assert "1 MB free" in result.stderr
    assert list(jar_folder().iterdir()) == []
