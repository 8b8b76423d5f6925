"""The shop whose purchases these tests learn from."""

from pathlib import Path

import pytest
from shops import Steps, make_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The steps of trainings, counted and interrupted."""
    return Steps(monkeypatch)
