"""Two people rate in a real browser: open and blind, with notes, again after a reload, and the table is downloaded."""

import csv
import time
from pathlib import Path
from typing import Any

import pytest
from browsing import PHONE
from scored_folders import write_scored

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from serving import served

from metrics.viewer.building import open_index
from metrics.viewer.photos import Photos
from metrics.viewer.ratings.pages import RatingPages
from metrics.viewer.ratings.store import RatingStore
from metrics.viewer.server import build_app

pytestmark = pytest.mark.browser

SYSTEMS = ["pretrained", "fine-tuned"]
ITEMS = [{"id": f"i{n}", "references": [f"a long red dress {n}"]} for n in range(3)]
NOTE = "<b>not</b> red\nsecond line"


def rate(browser: Any, ratings: dict[str, int], note: str) -> None:
    """Rate captions by their letters, note something of A, and press the first button."""
    for letter, rating in ratings.items():
        browser.find_element("css selector", f"input[name='rating:{letter}'][value='{rating}']").click()
    browser.find_element("name", "note:A").send_keys(note)
    browser.find_element("css selector", "form.rating button").click()


def said(browser: Any) -> tuple[list[str], str]:
    """The chosen ratings and the note of A."""
    chosen = browser.find_elements("css selector", "form.rating input:checked")
    note = browser.find_element("name", "note:A").get_property("value")
    return [one.get_property("value") for one in chosen], note


def test_two_raters_open_blind_again_and_the_table(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    captions = [["a dress"] * 3, [item["references"][0] for item in ITEMS]]
    scores = {"CIDEr": [[0.1] * 3, [0.9] * 3]}
    folder = write_scored(tmp_path / "scores", ITEMS, dict(zip(SYSTEMS, captions, strict=True)), scores)
    store = RatingStore(tmp_path / "ratings.sqlite")
    downloads = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    with served(build_app(open_index([folder]), Photos(None), [RatingPages(store).extension()])) as base:
        browser.get(f"{base}/item?id=i0")
        browser.find_element("name", "rater").send_keys("Ann")
        browser.find_element("css selector", "form.rater button").click()
        ann = browser.current_window_handle
        browser.switch_to.new_window("tab")
        browser.get(f"{base}/rate?rater=Bob&blind=1&id=i0")  # both have the item open at once
        assert not any(name in browser.page_source for name in SYSTEMS)
        letter = {
            one.text.split("\n")[1]: one.text.split("\n")[0][-1]
            for one in browser.find_elements("tag name", "fieldset")
        }
        rate(browser, {letter["a dress"]: 2, letter["a long red dress 0"]: 5}, "")
        browser.switch_to.window(ann)
        rate(browser, {"A": 1, "B": 4}, NOTE)
        following = f"{base}/item?id=i1&rater=Ann#rate"
        WebDriverWait(browser, 20).until(lambda page: page.current_url == following)
        browser.get(f"{base}/item?id=i0&rater=Ann")
        for _ in range(2):
            assert said(browser) == (["1", "4"], NOTE)
            browser.refresh()
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": PHONE, "height": 900, "deviceScaleFactor": 1, "mobile": True},
        )
        for page in ("/rate?rater=Bob&blind=1&id=i0", "/item?id=i0&rater=Ann", "/rate?blind=1", "/ratings"):
            browser.get(base + page)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE, page
        browser.find_element("link text", "as CSV").click()
        assert browser.get_log("browser") == []
        rows = downloaded(tmp_path / "ratings.csv")
    assert [row[:6] for row in rows[1:]] == [
        ["i0", "fine-tuned", "Ann", "4", "", "0"],
        ["i0", "pretrained", "Ann", "1", NOTE, "0"],
        ["i0", "fine-tuned", "Bob", "5", "", "1"],
        ["i0", "pretrained", "Bob", "2", "", "1"],
    ]


def downloaded(path: Path) -> list[list[str]]:
    for _ in range(100):
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.reader(file))
        time.sleep(0.05)
    raise AssertionError(f"{path} was not downloaded")
