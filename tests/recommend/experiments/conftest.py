"""The shop whose purchases these tests learn from."""

from pathlib import Path

import pytest
from shops import make_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shop(tmp_path_factory.mktemp("shop"))
