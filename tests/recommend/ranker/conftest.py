"""One small shop for all tests of `lookbook rank`."""

from pathlib import Path

import pytest
from hot_shops import make_hot_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hot_shop(tmp_path_factory.mktemp("shop"))
