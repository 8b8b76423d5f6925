"""The report in a real browser, at the width of a desk and of a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import DESK, PHONE, shown_photos
from typer.testing import Result

pytestmark = [pytest.mark.browser, pytest.mark.java]


def test_the_report_loads_and_fits(
    browser: Any, score: Callable[..., Result], systems: list[Path], tmp_path: Path
) -> None:
    photos = systems[0].parents[1] / "catalogue"
    assert score(*systems, "--images", photos, "--out", tmp_path / "out").exit_code == 0
    for width in (DESK, PHONE):
        assert shown_photos(browser, tmp_path / "out" / "report.html", width) >= 30
        assert browser.title == "Captions of the demo catalogue"
    assert browser.get_log("browser") == []
