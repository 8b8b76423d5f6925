"""The report in a real browser, at the width of a desk and of a phone."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ABSENT = not (CHROMIUM and DRIVER)
pytestmark = pytest.mark.skipif(
    ABSENT and os.environ.get("CI") != "true", reason="chromium and chromedriver are not on PATH"
)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


def test_the_report_loads_and_fits(
    browser: Any, score: Callable[..., Result], systems: list[Path], tmp_path: Path
) -> None:
    assert score(*systems, "--out", tmp_path).exit_code == 0
    for width in (1280, 390):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get((tmp_path / "report.html").as_uri())
        assert browser.title == "Captions of demo"
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        widths = browser.execute_async_script(
            "const done = arguments[0], photos = [...document.images];"
            "Promise.all(photos.map(photo => photo.decode())).then(() => done(photos.map(p => p.naturalWidth)))"
        )
        assert len(widths) >= 30
        assert min(widths) > 0
    assert browser.get_log("browser") == []
