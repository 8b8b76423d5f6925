"""What all tests share: a cache of their own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def lookbook_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh, empty folder in the place of `~/.cache/lookbook`."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LOOKBOOK_CACHE", str(folder))
    return folder
