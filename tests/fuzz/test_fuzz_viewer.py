"""The viewer's server: whatever is asked for or sent, it answers, and never with a failure of its own."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fuzzing import TEXTS, folder, fuzz
from hypothesis import strategies as st
from viewer_pages import write_shop

from metrics.viewer.building import open_index
from metrics.viewer.photos import Photos
from metrics.viewer.ratings.pages import RatingPages
from metrics.viewer.ratings.store import RatingStore
from metrics.viewer.server import build_app

NUMBERS = st.sampled_from(["1", "-1", "0", "1e400", "nan", "9" * 300, "1.5", "٣"])
NAMES = st.sampled_from(
    [
        "q",
        "category",
        "slice",
        "first",
        "products",
        "measure",
        "system",
        "versus",
        "min",
        "max",
        "diff_min",
        "diff_max",
        "sort",
        "order",
        "view",
        "page",
        "id",
        "rater",
        "blind",
        "size",
        "item",
        "sheet",
        "to",
        "query",
        "go",
        "rating:A",
        "note:A",
    ]
)
KNOWN = st.sampled_from(
    ["CIDEr", "tuned", "plain", "dress", "seen", "desc", "difference", "table", "plots", "000", "Ann"]
)
FIELDS = st.dictionaries(NAMES | TEXTS, KNOWN | NUMBERS | TEXTS, max_size=5)
PATHS = st.sampled_from(
    ["/", "/items", "/item", "/photo/0", "/photo/99", "/photo/x", "/rate", "/ratings", "/ratings.json"]
)
BODIES = st.one_of(
    st.binary(max_size=40),
    FIELDS.map(lambda fields: urlencode(fields, errors="surrogatepass").encode()),
    st.sampled_from([b"a=%ff", b"&" * 3000, b"item=000&rater=Ann&blind=1&sheet=x&rating:A=9&note:A="]),
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from starlette.testclient import TestClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        index = open_index([write_shop(tmp_path_factory.mktemp("shop"))])
    pages = RatingPages(RatingStore(folder("served") / "ratings.sqlite"))
    app = build_app(index, Photos(index.images), [pages.extension()])
    return TestClient(app, base_url="http://127.0.0.1:8765", follow_redirects=False)


@fuzz(
    "metrics.viewer.index",
    cost=15,
    path=PATHS | TEXTS.map(lambda text: "/" + quote(text, safe="", errors="replace")),
    fields=FIELDS,
)
def test_pages(client: Any, path: str, fields: dict[str, str]) -> None:
    assert client.get(f"{path}?{urlencode(fields, errors='surrogatepass')}").status_code < 500


@fuzz(
    "metrics.viewer.ratings.store",
    cost=15,
    body=BODIES,
    kind=st.sampled_from(["application/x-www-form-urlencoded", "", "x"]),
)
def test_forms(client: Any, body: bytes, kind: str) -> None:
    assert client.post("/ratings", content=body, headers={"content-type": kind}).status_code < 500
