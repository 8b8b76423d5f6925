"""What the tests of the viewer share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from scored_folders import write_scored
from viewer_pages import Pages, item, write_shop


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve items by two systems; see `write_shop`."""
    return write_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def open_pages() -> Callable[..., Pages]:
    """Open the pages of folders that `score` wrote."""
    pytest.importorskip("starlette", reason="the extra `view` is not installed")
    testclient = pytest.importorskip("starlette.testclient")
    from metrics.viewer.building import open_index
    from metrics.viewer.photos import Photos
    from metrics.viewer.server import build_app

    def open_them(*folders: Path, images: Path | None = None, extensions: Sequence[Any] = ()) -> Pages:
        index = open_index(folders)
        app = build_app(index, Photos(images or index.images), extensions)
        return Pages(testclient.TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False))

    return open_them


@pytest.fixture(scope="session")
def pages(scored: Path, open_pages: Callable[..., Pages], tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """The pages of `scored`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(tmp_path_factory.mktemp("index")))
        return open_pages(scored, images=scored.parent)


@pytest.fixture
def scored_alone(tmp_path: Path, open_pages: Callable[..., Pages]) -> Pages:
    """One item by one system."""
    return open_pages(write_scored(tmp_path / "one", [item(0)], {"tuned": ["a dress"]}, {"CIDEr": [[0.5]]}))


@pytest.fixture
def long_pages(tmp_path: Path, open_pages: Callable[..., Pages]) -> Pages:
    """120 items by one system, CIDEr rising."""
    items = [{"id": f"0{number:03d}", "references": ["a dress"], "product_id": str(number)} for number in range(120)]
    scores = {"CIDEr": [[number / 120 for number in range(120)]]}
    return open_pages(write_scored(tmp_path / "long", items, {"tuned": ["a dress"] * 120}, scores))
