"""Rating through HTTP: what is shown, what is saved, what is refused, and that blind pages tell nothing."""

import html
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from rating_forms import captions_of, form_of
from scored_folders import write_scored
from typer.testing import CliRunner

from metrics.__main__ import app as commands
from metrics.common.processes import child_environment, python_module

pytest.importorskip("starlette")
pytest.importorskip("httpx")

import httpx
from starlette.testclient import TestClient

from metrics.viewer.building import open_index
from metrics.viewer.photos import Photos
from metrics.viewer.ratings.forms import make_sheet
from metrics.viewer.ratings.pages import RatingPages
from metrics.viewer.ratings.store import RatingStore
from metrics.viewer.server import build_app

BASE = "http://127.0.0.1:8765"
EVIL = "<script>alert(1)</script>&\"'"
SYSTEMS = ["pretrained model", "fine-tuned model", EVIL]
ITEMS = [
    {"id": f"i{n}", "product_id": f"p{n}", "references": [f"a long red dress number {n}"], "category": "Dress"}
    for n in range(100)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    captions = [["a dress"] * 100, [item["references"][0] for item in ITEMS], [EVIL] * 100]
    scores = {"ROUGE-L": [[value] * 100 for value in (0.613, 1.0, 0.1)]}
    predicted = [[f"predicted of {name}"] * 100 for name in SYSTEMS]
    folder = tmp_path_factory.mktemp("scores")
    return write_scored(folder, ITEMS, dict(zip(SYSTEMS, captions, strict=True)), scores, predicted=predicted)


@pytest.fixture
def store(tmp_path: Path) -> RatingStore:
    return RatingStore(tmp_path / "ratings.sqlite")


@pytest.fixture
def client(folder: Path, store: RatingStore) -> Iterator[TestClient]:
    app = build_app(open_index([folder]), Photos(None), [RatingPages(store).extension()])
    with TestClient(app, BASE) as client:
        yield client


def test_a_rating_is_saved_shown_again_and_goes_on_to_the_next(client: TestClient, store: RatingStore) -> None:
    page = client.get("/rate?rater=Ann&id=i0").text
    assert list(captions_of(page)) == SYSTEMS
    form = form_of(page) | {"rating:B": "5", "note:B": f" {EVIL}\r\nsecond line ", "rating:C": "1"}
    after = client.post("/ratings", data=form)
    assert str(after.url) == f"{BASE}/rate?id=i1&rater=Ann#rate"
    assert "1 of 100 items rated" in after.text
    said = store.by_rater("Ann", False)
    assert {one.system: (one.rating, one.note) for one in said} == {
        SYSTEMS[1]: (5, f"{EVIL}\nsecond line"),
        SYSTEMS[2]: (1, ""),
    }
    again = client.get("/rate?rater=Ann&id=i0").text
    assert "<script" not in again and html.escape(EVIL, quote=False).replace('"', "&#34;") in again.replace(
        "&#39;", "'"
    )
    shown = form_of(again)
    assert (shown["rating:A"], shown["rating:B"], shown["note:B"]) == ("", "5", f"{EVIL}\nsecond line")
    assert form_of(client.get("/rate?rater=Bob&id=i0").text)["note:B"] == ""


def test_without_an_id_it_goes_to_what_is_not_rated_yet(client: TestClient) -> None:
    for n in range(3):
        page = client.get("/rate?rater=Ann&blind=1")
        assert str(page.url) == f"{BASE}/rate?rater=Ann&blind=1&id=i{n}"
        client.post("/ratings", data=form_of(page.text) | {"rating:A": "3"})
    assert str(client.get("/rate?rater=Ann&blind=1&first=2").url).endswith("id=i0")
    page = client.get("/rate?blind=1").text
    assert "Your name" in page and not any(name in page for name in SYSTEMS[:2])


def test_blind_pages_tell_no_system_and_the_server_knows_it(client: TestClient, store: RatingStore) -> None:
    client.post("/ratings", data=form_of(client.get("/rate?rater=Ann&id=i0").text) | {"rating:A": "2"})
    orders = set()
    for n in range(12):
        page = client.get(f"/rate?rater=Ann&blind=1&id=i{n}").text
        captions = captions_of(page)
        assert list(captions) == ["Caption A", "Caption B", "Caption C"]
        orders.add(tuple(captions.values()).index("a dress"))
        for secret in (*SYSTEMS[:2], "predicted", "ROUGE", "61.3", "0.613"):
            assert secret not in page
        assert html.unescape(page).count(EVIL) == 1  # the caption; the system's name is the same
        client.post("/ratings", data=form_of(page) | {f"rating:{'ABC'[[*captions.values()].index('a dress')]}": "4"})
    assert orders == {0, 1, 2}
    blind = [one for one in store.all() if one.blind]
    assert [(one.system, one.rating) for one in blind] == [(SYSTEMS[0], 4)] * 12


@pytest.mark.parametrize("more", ["system=fine-tuned+model", "sort=ROUGE-L", "min=3", "versus=x", "measure=x"])
def test_blind_pages_select_by_nothing_that_tells_systems(client: TestClient, more: str) -> None:
    page = client.get(f"/rate?rater=Ann&blind=1&{more}")
    assert page.status_code == 400
    assert "blind, items are selected by q, category, slice, first, products" in page.text
    assert not any(name in page.text for name in SYSTEMS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"item": "i100"}, "item: expected the id of an item, found &#39;i100&#39;"),
        ({"rating:D": "3", "note:D": ""}, "found the field &#39;rating:D&#39;"),
        ({"rating:A": "0"}, "rating:A: expected 1 to 5 or nothing, found &#39;0&#39;"),
        ({"note:A": "x" * 2001}, "note:A: expected at most 2,000 characters, found 2,001"),
        ({"rater": " "}, "rater: expected a name of 1 to 60 printable characters"),
        ({"rater": "x" * 61}, "rater: expected a name of 1 to 60 printable characters, found 61 characters"),
        ({"blind": "2"}, "blind: expected 0 or 1, found &#39;2&#39;"),
        ({"sheet": "0"}, "the form was made of other captions than those shown now"),
        ({"to": "//evil.example"}, "to: expected /rate or /item, found &#39;//evil.example&#39;"),
    ],
)
def test_a_wrong_form_saves_nothing_and_says_what_was_expected(
    client: TestClient, store: RatingStore, changes: dict[str, str], message: str
) -> None:
    form = form_of(client.get("/rate?rater=Ann&blind=1&id=i0").text) | {"rating:B": "3"}
    answer = client.post("/ratings", data=form | changes)
    assert (answer.status_code, message in answer.text) == (400, True)
    assert not any(name in answer.text for name in SYSTEMS[:2])
    assert store.all() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:80"}, 403),
        ({"host": "evil.example"}, 400),
        ({"content-type": "text/plain"}, 400),
        ({"content-type": "multipart/form-data"}, 400),
        ({"origin": BASE}, 303),
    ],
)
def test_only_forms_of_this_server_are_saved(
    client: TestClient, store: RatingStore, headers: dict[str, str], status: int
) -> None:
    form = form_of(client.get("/rate?rater=Ann&blind=1&id=i0").text) | {"rating:B": "3"}
    answer = client.post("/ratings", data=form, headers=headers, follow_redirects=False)
    assert answer.status_code == status
    assert len(store.all()) == (status == 303)


def test_a_form_that_is_too_large_is_refused(client: TestClient, store: RatingStore) -> None:
    answer = client.post("/ratings", data={"note:A": "x" * 2**21})
    assert (answer.status_code, "at most 2,097,152 bytes" in answer.text) == (400, True)


@contextmanager
def two_viewers(folder: Path, ratings: Path) -> Iterator[list[str]]:
    """Two processes of one file of ratings; their URLs."""
    command = python_module("metrics", "view", str(folder), "--ratings", str(ratings), "--port", "0")
    with ExitStack() as stack:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "env": child_environment()}
        processes = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(2)]
        for process in processes:
            stack.callback(process.kill)
        yield [process.stdout.readline().split()[0].rstrip("/") for process in processes]


@pytest.mark.processes
@pytest.mark.slow
def test_eight_raters_at_once_in_two_viewers_of_one_file(folder: Path, store: RatingStore) -> None:
    # Threads of two processes: reading the file by other means than SQLite would drop locks, and damage it.
    def sheet_of(item: dict[str, Any], rater: str) -> str:
        captions = dict(zip(SYSTEMS, ("a dress", item["references"][0], EVIL), strict=True))
        return make_sheet(item["id"], rater, True, captions).digest

    def rate(url: str, rater: str) -> list[int]:
        form = {"rater": rater, "blind": "1", "to": "/rate", "note:A": "", "rating:A": "3"}
        sheets = {item["id"]: sheet_of(item, rater) for item in ITEMS}
        with httpx.Client(base_url=url, headers={"origin": url}) as client:
            posts = (form | {"item": key, "sheet": sheet} for key, sheet in sheets.items())
            return [client.post("/ratings", data=post).status_code for post in posts]

    raters = [f"r{number}" for number in range(8)]
    with two_viewers(folder, store.path) as urls, ThreadPoolExecutor(8) as pool:
        statuses = [status for of_one in pool.map(rate, urls * 4, raters) for status in of_one]
    assert statuses == [303] * 800
    assert {(one.item, one.rater) for one in store.all()} == {(item["id"], rater) for item in ITEMS for rater in raters}


def test_the_page_of_an_item_has_a_form_and_what_was_said(client: TestClient, store: RatingStore) -> None:
    page = client.get("/item?id=i0&category=Dress").text
    assert "Your name" in page
    page = client.get("/item?id=i0&category=Dress&rater=Ann").text
    the_list = client.get("/items?category=Dress&rater=Ann")  # where the link to the list leads, and back
    assert str(the_list.url).removeprefix(BASE) in html.unescape(page)
    assert "/item?category=Dress&rater=Ann&id=i1" in html.unescape(the_list.text)
    after = client.post("/ratings", data=form_of(page) | {"rating:A": "4", "note:A": EVIL})
    assert str(after.url) == f"{BASE}/item?category=Dress&id=i1&rater=Ann#rate"
    client.post("/ratings", data=form_of(client.get("/rate?id=i0&rater=Bob&blind=1").text) | {"rating:A": "1"})
    page = client.get("/item?id=i0").text
    assert "What was said of this item" in page
    assert "Ann" in page and "Bob" in page and "<script" not in page


def test_the_summary_its_data_and_the_table(
    client: TestClient, store: RatingStore, folder: Path, tmp_path: Path
) -> None:
    assert client.get("/ratings").text.count("No ratings") == 2
    for rater in ("Ann", "Bob"):
        for n in range(12):
            form = form_of(client.get(f"/rate?rater={rater}&blind=1&id=i{n}").text)
            rating = {EVIL: "2", "a dress": "3", ITEMS[n]["references"][0]: "5"}
            page = client.get(f"/rate?rater={rater}&blind=1&id=i{n}").text
            said = {f"rating:{legend[-1]}": rating[caption] for legend, caption in captions_of(page).items()}
            client.post("/ratings", data=form | said)
    page = client.get("/ratings").text
    for part in (
        "72 ratings",
        "12 items in 12 clusters",
        "Ann (36), Bob (36)",
        "Fewer than 30",
        "5.00",
        "100.0%",
        escape(EVIL),
    ):
        assert part in page
    assert "<script" not in page
    summary = client.get("/ratings.json").json()
    rated = summary["blind"]["rated"]
    assert [one["mean"]["value"] for one in rated["systems"]] == [3, 5, 2]
    assert rated["agreement"]["ordinal"]["value"] == 1
    assert rated["measures"][0]["name"] == "ROUGE-L" and rated["measures"][0]["preference"]["value"] == 1
    table = client.get("/ratings.csv")
    assert table.headers["content-disposition"] == 'attachment; filename="ratings.csv"'
    assert len(table.text.splitlines()) == 73
    out = tmp_path / "ratings.csv"
    arguments = ["ratings", str(store.path), "--scores", str(folder)]
    run = CliRunner().invoke(commands, [*arguments, "--out", str(out), "--json"])
    assert (run.exit_code, json.loads(run.stdout)) == (0, summary)
    assert out.read_bytes() == table.content
    run = CliRunner().invoke(commands, arguments, env={"COLUMNS": "200"})
    assert run.exit_code == 0
    assert "Rated blind: 72 ratings of 12 items in 12 clusters by product, reference; Ann 36, Bob 36" in run.stdout


def test_view_begins_with_a_file_of_ratings_or_not_at_all(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    run = CliRunner().invoke(commands, ["view", str(folder), "--ratings", str(other)])
    assert (run.exit_code, "expected ratings that `lookbook view` has saved" in run.stderr) == (2, True)
    assert other.read_text() == "mine"


def test_few_ratings_are_counted_but_give_no_figure(client: TestClient) -> None:
    client.post("/ratings", data=form_of(client.get("/rate?rater=Ann&id=i0").text) | {"rating:A": "4"})
    page = client.get("/ratings").text
    assert "Figures need 10 independent clusters of rated items; so far there are 1" in " ".join(page.split())
    assert "too few" in page and "4.00" not in page
