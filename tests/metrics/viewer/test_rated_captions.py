"""A rating is of a text: it stays with it when captions, folders or their order change, and with earlier files."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from rating_forms import captions_of, form_of
from scored_folders import write_scored
from typer.testing import CliRunner
from viewer_pages import Pages

from metrics import Rating, RatingStore
from metrics.__main__ import app
from metrics.viewer.ratings.matching import match

pytest.importorskip("starlette")

from metrics.viewer.ratings.pages import RatingPages

ITEMS = [{"id": f"i{n}", "product_id": f"p{n}", "references": [f"a dress {n}"]} for n in range(10)]
RED, JEANS = "a red dress", "blue jeans"
_VERSION_1 = f"""
PRAGMA application_id = {int.from_bytes(b"LkRt")};
PRAGMA user_version = 1;
CREATE TABLE ratings (
  item TEXT NOT NULL, system TEXT NOT NULL, rater TEXT NOT NULL, rating INTEGER CHECK (rating BETWEEN 1 AND 5),
  note TEXT NOT NULL, blind INTEGER NOT NULL, time TEXT NOT NULL,
  PRIMARY KEY (item, rater, blind, system)
) WITHOUT ROWID;
"""


@pytest.fixture
def store(tmp_path: Path) -> RatingStore:
    return RatingStore(tmp_path / "ratings.sqlite")


@pytest.fixture
def rate(store: RatingStore, open_pages: Callable[..., Pages]) -> Callable[..., Any]:
    """Open the pages of folders with the file of ratings."""
    return lambda *folders: open_pages(*folders, extensions=[RatingPages(store).extension()]).client


def scored(folder: Path, caption: str) -> Path:
    return write_scored(folder, ITEMS, {"fine-tuned": [caption] * len(ITEMS)}, {"CIDEr": [[0.5] * len(ITEMS)]})


def summary(store: RatingStore, *folders: Path) -> dict[str, Any]:
    arguments = [text for folder in folders for text in ("--scores", str(folder))]
    run = CliRunner().invoke(app, ["ratings", str(store.path), *arguments, "--json"])
    assert run.exit_code == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def means(found: dict[str, Any]) -> list[float | None]:
    return [one["mean"]["value"] for one in found["open"]["rated"]["systems"]]


def post(client: Any, page: str, given: dict[str, str]) -> int:
    """Send the form of a page with these ratings of captions; the status of the answer."""
    form = form_of(page)
    letters = dict(zip(captions_of(page).values(), (name for name in form if name.startswith("rating:")), strict=True))
    changes = {letters[caption]: rating for caption, rating in given.items()}
    status: int = client.post("/ratings", data=form | changes, follow_redirects=False).status_code
    return status


def test_of_systems_of_one_name_the_rated_caption_has_the_rating(
    tmp_path: Path, store: RatingStore, rate: Callable[..., Any]
) -> None:
    one, two = scored(tmp_path / "s-one", RED), scored(tmp_path / "s-two", JEANS)
    client = rate(one, two)
    for item in ITEMS:
        page = client.get(f"/rate?rater=Ann&id={item['id']}").text
        assert post(client, page, {RED: "5", JEANS: "1"}) == 303
    before = store.all()
    assert {one.caption_sha256 for one in before} == {sha256(text.encode()).hexdigest()[:16] for text in (RED, JEANS)}
    assert means(summary(store, one, two)) == [5, 1]
    assert means(summary(store, two, one)) == [1, 5]
    alone = summary(store, two)
    assert (means(alone), alone["other_captions"], alone["left_out"]) == ([1], 10, 0)

    swapped = rate(two, one)
    page = swapped.get("/rate?rater=Ann&id=i0").text
    assert (form_of(page)["rating:A"], form_of(page)["rating:B"]) == ("1", "5")
    assert post(swapped, page, {JEANS: "2"}) == 303
    assert len(store.all()) == len(before)
    assert means(summary(store, one, two)) == [5, pytest.approx(1.1)]


def test_another_caption_of_the_same_system_is_not_rated(
    tmp_path: Path, store: RatingStore, rate: Callable[..., Any]
) -> None:
    folder = scored(tmp_path / "scores", RED)
    client = rate(folder)
    early = [client.get(f"/rate?rater=Ann&id=i0&blind={blind}").text for blind in (0, 1)]
    assert post(client, early[0], {RED: "5"}) == 303
    again = rate(scored(folder, "garbage garbage"))
    assert [post(again, page, {RED: "4"}) for page in early] == [400, 400]

    page = again.get("/rate?rater=Ann").text  # goes to i0, as that is not rated
    assert "0 of 10 items rated" in page and form_of(page)["rating:A"] == ""
    assert "another caption" in again.get("/item?id=i0").text
    assert "left out, since the captions are others today: 1" in again.get("/ratings").text
    assert "others today: 1" in CliRunner().invoke(app, ["ratings", str(store.path), "--scores", str(folder)]).stdout
    assert post(again, page, {}) == 303  # an empty form removes nothing that it did not show
    assert post(again, page, {"garbage garbage": "1"}) == 303
    assert [one.rating for one in store.all()] == [5, 1]
    assert summary(store, scored(folder, RED))["open"]["rated"]["systems"][0]["given"] == [0, 0, 0, 0, 1]


def test_a_file_of_the_earlier_version_is_read_as_before_and_keeps_all(
    tmp_path: Path, store: RatingStore, rate: Callable[..., Any]
) -> None:
    rows = [(f"i{n}", "fine-tuned", "Ann", 3, "note", 0, "2026-01-01") for n in range(10)]
    with closing(sqlite3.connect(store.path)) as earlier, earlier:
        earlier.executescript(_VERSION_1)
        earlier.executemany("INSERT INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    folder, content = scored(tmp_path / "scores", RED), store.path.read_bytes()
    found = summary(store, folder)
    assert (means(found), found["unknown_captions"], found["other_captions"]) == ([3], 10, 0)
    assert store.path.read_bytes() == content

    client = rate(folder)
    assert post(client, client.get("/rate?rater=Ann&id=i0").text, {RED: "5"}) == 303
    said = store.all()
    assert [(one.rating, one.note) for one in said] == [(5, "note")] + [(3, "note")] * 9
    assert [bool(one.caption_sha256) for one in said] == [True] + [False] * 9
    assert summary(store, folder)["unknown_captions"] == 9


def test_one_caption_of_two_systems_keeps_both_ratings_apart() -> None:
    digest = sha256(RED.encode()).hexdigest()[:16]
    first, second = (Rating("i0", name, "Ann", 4, "", True, "t", digest) for name in ("tuned (2)", "tuned"))
    found = match([first, second], {"i0": {"tuned": RED, "tuned (2)": RED}})
    assert {key[-1]: one for key, one in found.ratings.items()} == {"tuned": second, "tuned (2)": first}
    alone = match([first, second], {"i0": {"tuned": RED}})
    assert (list(alone.ratings.values()), alone.other_captions, alone.left_out) == ([second], 0, 1)
