"""The jars of SPICE, installed once into the user's own cache, and lent to caches of tests."""

import os
from pathlib import Path

import pytest

from metrics import UserError
from metrics.common.cache import cache_folder
from metrics.measures.spice.install import install

REAL = cache_folder()


def installed_jars() -> Path:
    """The folder of the jars; without a network the test is skipped, in CI it fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(REAL))
        try:
            return install()
        except UserError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"SPICE cannot be installed here: {error}")


def lend_jars(cache: Path) -> Path:
    """Put the jars into another cache."""
    (cache / "spice").mkdir(exist_ok=True)
    (cache / "spice" / "jars").symlink_to(installed_jars())
    return cache
