"""The viewer in a real browser, at the width of a desk and of a phone."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import DESK, PHONE

pytest.importorskip("uvicorn", reason="the extra `view` is not installed")
pytestmark = pytest.mark.browser


@pytest.fixture
def url(scored: Path) -> Iterator[str]:
    """The viewer, served to this machine."""
    import uvicorn

    from metrics.viewer.building import open_index
    from metrics.viewer.photos import Photos
    from metrics.viewer.server import build_app

    index = open_index([scored])
    server = uvicorn.Server(uvicorn.Config(build_app(index, Photos(scored.parent)), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def fits(browser: Any, width: int) -> None:
    """The page is not wider than the screen, and its photos are shown."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return [...document.images].every(one => one.complete || one.loading == 'lazy')")


def test_from_the_start_to_the_next_item(browser: Any, url: str) -> None:
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select, WebDriverWait

    def click(text: str) -> None:
        browser.find_element(By.PARTIAL_LINK_TEXT, text).click()

    def choose(name: str, text: str) -> None:
        Select(browser.find_element(By.NAME, name)).select_by_visible_text(text)

    def shows(heading: str) -> None:
        waiting = WebDriverWait(browser, 10, ignored_exceptions=[StaleElementReferenceException])
        waiting.until(lambda _: browser.find_element(By.TAG_NAME, "h1").text.split() == heading.split())

    for width in (DESK, PHONE):
        for path in ("/items", "/items?view=plots", "/item?id=005"):
            browser.get(url + path)
            fits(browser, width)
    browser.get(url)
    click("All items")
    shows("12 items")
    browser.find_element(By.NAME, "q").send_keys("dresses\n")
    shows("4 items")
    choose("sort", "CIDEr")
    choose("order", "lowest first")
    choose("slice", "unseen")
    browser.find_element(By.CSS_SELECTOR, ".buttons button").click()
    shows("2 items")
    click("009")
    shows("009 unseen")
    click("Next")
    shows("003 unseen")
    browser.refresh()
    shows("003 unseen")
    assert not browser.find_elements(By.CSS_SELECTOR, "a[rel=next]")
    click("2 of 2")
    shows("2 items")
    click("slice: unseen")
    shows("4 items")
    browser.get(url + "/item?id=003")
    browser.find_element(By.NAME, "id").send_keys("011\n")
    shows("011 unseen")
    assert browser.get_log("browser") == []
