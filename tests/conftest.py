"""What all tests share: a cache of their own, and a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import started_browser


@pytest.fixture(autouse=True)
def lookbook_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh, empty folder in the place of `~/.cache/lookbook`."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LOOKBOOK_CACHE", str(folder))
    return folder


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium by Selenium."""
    with started_browser(tmp_path / "profile") as driver:
        yield driver
