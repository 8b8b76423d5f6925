"""Where the cache is."""

import sys
from pathlib import Path

import pytest

from metrics.common.cache import cache_folder


@pytest.mark.skipif(sys.platform != "linux", reason="another default")
def test_the_default_is_the_system_s_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LOOKBOOK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("lemmas") == tmp_path / ".cache" / "lookbook" / "lemmas"
    monkeypatch.setenv("LOOKBOOK_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("LOOKBOOK_CACHE", "")
    assert cache_folder() == tmp_path / ".cache" / "lookbook"
