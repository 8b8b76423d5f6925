"""`lookbook similar`: the nearest items by cosine, what filters leave, and one message for what is wrong."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feature_stores import write_store
from recommending import done, items_table, refused_by
from tiny import photo as save_photo

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.models.encoders.tfidf import TfidfEncoder
from recommend.items import index as indexes
from recommend.items import query_encoding

COUNT = 24
IDS = [f"i{number:02d}" for number in range(COUNT)]
PRODUCTS = [number // 2 for number in range(COUNT)]  # two colours of each
CATEGORIES = [("Dress", "Shirt", "Hat")[number % 3] for number in range(COUNT)]
COLOURS = [("Red", "Blue")[number % 2] for number in range(COUNT)]
DRAW = np.random.default_rng(5)
ROWS = {"photo": DRAW.normal(size=(COUNT, 6)), "text": DRAW.normal(size=(COUNT, 9))}
TEXTS = [
    f"{colour} {category} number {'xyz'[n % 3] * 3}"
    for n, (colour, category) in enumerate(zip(COLOURS, CATEGORIES, strict=True))
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores `photo` and `text`, photos in `images/`, and `items.parquet`."""
    folder = tmp_path_factory.mktemp("shop")
    for name, rows in ROWS.items():
        about = About(name, name, folder=str(folder))  # type: ignore[arg-type]
        write_store(folder / name, IDS, rows, about, "float32")
    images = [str(save_photo(folder / "images" / f"{key}.jpg").relative_to(folder)) for key in IDS]
    write_table(folder / "items.parquet", image=images)
    return folder


def write_table(path: Path, **values: list[str]) -> Path:
    items_table(
        path, IDS, [str(product) for product in PRODUCTS], product_type_name=CATEGORIES, colour_group_name=COLOURS
    )
    pd.read_parquet(path).assign(**{"description": TEXTS, **values}).to_parquet(path)
    return path


def cosines(name: str) -> Any:
    rows = ROWS[name] - ROWS[name].mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1)
    return rows @ rows.T / np.outer(lengths, lengths)


def found(*arguments: Any) -> list[dict[str, Any]]:
    """What a search for one query finds."""
    (query,) = json.loads(done("similar", *arguments, "--json"))["queries"]
    return list(query["similar"])


def expected(scores: Any, item: int, k: int, keep: Any = lambda other: True) -> list[str]:
    order = [other for other in np.argsort(-scores[item], kind="stable") if other != item and keep(other)]
    return [IDS[other] for other in order[:k]]


def test_the_nearest_by_one_store_or_two(shop: Path) -> None:
    photo, text = shop / "photo", shop / "text"
    assert [one["id"] for one in found(photo, "--id", "i03")] == expected(cosines("photo"), 3, 5)
    joined = 0.3 * cosines("photo") + 0.7 * cosines("text")
    similar = found(photo, text, "--id", "i03", "--weight", "0.3", "--k", 4)
    assert [one["id"] for one in similar] == expected(joined, 3, 4)
    other = IDS.index(similar[0]["id"])
    assert similar[0]["cosine"] == pytest.approx(joined[3, other], abs=1e-4)
    assert similar[0]["cosines"] == pytest.approx({name: cosines(name)[3, other] for name in ROWS}, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "keep"),
    [
        (["--category", "hat"], lambda other: CATEGORIES[other] == "Hat"),
        (["--category", "same"], lambda other: CATEGORIES[other] == CATEGORIES[3]),
        (["--colour", "same", "--no-siblings"], lambda other: COLOURS[other] == COLOURS[3] and other != 2),
        (
            ["--category", "Shirt", "--colour", "Red"],
            lambda other: (CATEGORIES[other], COLOURS[other]) == ("Shirt", "Red"),
        ),
    ],
)
@pytest.mark.parametrize("index", ["exact", "flat", "ivf"])
def test_filters(shop: Path, options: list[str], keep: Any, index: str) -> None:
    items = ["--items", shop / "items.parquet", "--index", index]
    similar = found(shop / "photo", "--id", "i03", "--k", 3, *items, *options)
    assert [one["id"] for one in similar] == expected(cosines("photo"), 3, 3, keep)


def test_an_index_that_misses_the_allowed_items_is_no_dead_end(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(indexes, "PROBED", 1)
    options = ["--items", shop / "items.parquet", "--category", "Hat", "--k", 8, "--index", "ivf"]
    similar = found(shop / "photo", "--id", "i03", *options)
    assert [one["id"] for one in similar] == expected(cosines("photo"), 3, 8, lambda other: CATEGORIES[other] == "Hat")


def test_a_table_on_the_screen(shop: Path) -> None:
    printed = done("similar", shop / "photo", "--id", "i03", "--id", "i04", "--items", shop / "items.parquet")
    assert "similar to i03 (Dress, Blue)" in printed and "similar to i04 (Shirt, Red)" in printed
    assert "cosine|photo:" in printed and "|index:exact|" in printed


def test_a_signature_names_a_model_without_its_folder(shop: Path, tmp_path: Path) -> None:
    about = About(f"{tmp_path}/models/mine:vision", "photo")
    mine = write_store(tmp_path / "mine", IDS, ROWS["photo"], about)
    both = tmp_path / "both"
    done("join-features", shop / "text", mine, "--out", both)
    for store in (mine, both):
        signature = json.loads(done("similar", store, "--id", "i03", "--json"))["queries"][0]["signature"]
        assert "mine:vision" in signature and str(tmp_path) not in signature
    assert str(tmp_path) not in FeatureStore.open(both).about.pooling


def test_items_that_one_store_lacks_are_counted(shop: Path, tmp_path: Path) -> None:
    shorter = write_store(tmp_path / "short", IDS[:20], ROWS["text"][:20], About("short", "text"))
    assert f"4 items of {shop / 'photo'} are not in the other store" in done(
        "similar", shop / "photo", shorter, "--id", "i03"
    )


def test_neighbours_of_all_items(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "neighbours.parquet"
    options = ["--k", 3, "--no-siblings", "--category", "same", "--items", shop / "items.parquet", "--out", out]
    for _ in range(2):  # a table of neighbours is replaced
        assert f"{COUNT * 3} neighbours of {COUNT} items" in done("similar", shop / "photo", "--all", *options)
    table = pd.read_parquet(out)
    scores = cosines("photo")
    for item, key in enumerate(IDS):
        rows = table[table["id"] == key]
        keep = lambda other, item=item: CATEGORIES[other] == CATEGORIES[item] and PRODUCTS[other] != PRODUCTS[item]  # noqa: E731
        assert rows["neighbour"].tolist() == expected(scores, item, 3, keep)
        assert rows["rank"].tolist() == [1, 2, 3]
        assert np.allclose(rows["cosine"], [scores[item, IDS.index(other)] for other in rows["neighbour"]], atol=1e-5)


def test_items_with_fewer_neighbours_are_counted(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "neighbours.parquet"
    options = ["--k", 6, "--category", "same", "--colour", "same", "--items", shop / "items.parquet", "--out", out]
    assert "72 neighbours of 24 items; 24 items have fewer than 6" in done("similar", shop / "photo", "--all", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--id", "nothing"], "has no features of 1 of 1 ids (nothing)"),
        (
            ["--id", "i01", "--k", "24"],
            "--k: expected 1 to 23, the number of items that the query and the filters leave",
        ),
        (["--id", "i01", "--all"], "give one of: --id, --photo and/or --sentence, --sample, --all"),
        (["--all"], "--all and --out FILE belong together"),
        (["--all", "--out", "n.parquet", "--k", "24"], "--k: expected 1 to 23, the number of other items, found 24"),
        (["--id", "i01", "--category", "same"], "a filter needs the items' table; give --items"),
        (["--id", "i01", "--html", "page.html"], "a page needs the items' table; give --items"),
        (["--id", "i01", "--items", "TABLE", "--category", "Coat"], "no item has Coat; found Dress, Hat, Shirt"),
        (["--id", "i01", "--items", "TABLE", "--colour-column", "tint"], "no column tint; found"),
        (["--all", "--out", "n.parquet", "--items", "TABLE", "--colour", "Red"], "with --all expected `same`"),
        (["--sample", "25"], "--sample: expected at most 24, the number of items, found 25"),
        (["--photo", "TABLE"], "not an image"),
        (["--photo", "missing.jpg"], "missing.jpg: no such file"),
        (["--sentence", "  "], "--sentence: expected words, found an empty text"),
        (["--id", "i01", "--weight", "2"], None),
    ],
)
def test_what_is_wrong(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    table = str(shop / "items.parquet")
    arguments = [table if option == "TABLE" else option for option in options]
    refusal = refused_by("similar", shop / "photo", *arguments)
    assert (message or "from 0 to 1, found 2.0") in refusal
    assert not list(tmp_path.iterdir())


def test_other_peoples_files_stay(shop: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    for options in (["--all", "--out", theirs], ["--id", "i01", "--items", shop / "items.parquet", "--html", theirs]):
        assert f"{theirs}: exists and is no" in refused_by("similar", shop / "photo", *options)
    assert theirs.read_text() == "mine"


def test_a_damaged_store_and_rows_that_are_no_vectors(shop: Path, tmp_path: Path) -> None:
    grid = write_store(tmp_path / "grid", IDS, np.ones((COUNT, 2, 3)))
    assert "expected a vector an item, found rows of shape (2, 3)" in refused_by("similar", grid, "--id", "i01")
    (grid / "rows.bin").write_bytes(b"")
    assert "rows.bin: expected 288 bytes, found 0" in refused_by("similar", grid, "--id", "i01")
    zero = write_store(tmp_path / "zero", IDS, np.vstack([ROWS["photo"][:-1], np.zeros(6)]))
    assert "the vector of 1 items (i23) is all zeros" in refused_by("similar", zero, "--id", "i01")


OBSERVED = """
import sys
from recommend.__main__ import app
try:
    app()
finally:
    print("imported", [name for name in ("faiss", "torch") if name in sys.modules])
"""


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A store of TF-IDF vectors of the descriptions."""
    encoder = TfidfEncoder()
    encoder.fit(TEXTS)
    path = write_store(tmp_path / "words", IDS, encoder.encode_texts(TEXTS), encoder.about())
    encoder.save(path)
    return path


def in_a_process(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", OBSERVED, "similar", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})


@pytest.mark.processes
def test_a_sentence_is_encoded_apart_from_the_search(words: Path) -> None:
    run = in_a_process(words, "--sentence", "a hat in RED", "--index", "fp16", "--k", 1)
    assert run.returncode == 0, run.stderr
    assert TEXTS[IDS.index(next(key for key in IDS if f" {key} " in run.stdout))].startswith("Red Hat")
    assert run.stdout.splitlines()[-1] == "imported ['faiss']"


@pytest.fixture
def encoding_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries are encoded in this process, which has everything loaded."""

    def run(command: list[str], input: str, **_: Any) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(input))
        code, errors = 0, io.StringIO()
        try:
            with contextlib.redirect_stderr(errors):
                query_encoding.main()
        except SystemExit as exit:
            code = int(str(exit.code))
        return subprocess.CompletedProcess(command, code, "", errors.getvalue())

    monkeypatch.setattr(query_encoding.subprocess, "run", run)


@pytest.mark.usefixtures("encoding_here")
def test_a_sentence_of_unknown_words(words: Path) -> None:
    assert "makes zeros of it" in refused_by("similar", words, "--sentence", "trousers")
    (words / "vocabulary.json").unlink()
    assert "vocabulary.json: no such file" in refused_by("similar", words, "--sentence", "hat")


@pytest.mark.torch
@pytest.mark.usefixtures("encoding_here")
def test_a_photo_is_encoded_as_the_stores_photos_were(shop: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    from PIL import Image

    from finetune.models.encoders import load_encoder

    files = [
        save_photo(tmp_path / f"{key}.png", colour) for key, colour in (("a", (200, 30, 30)), ("b", (30, 30, 200)))
    ]
    encoder = load_encoder("efficientnet-lite0", "cpu", resolution=32)
    rows = encoder.encode_photos([Image.open(file) for file in files])
    store = write_store(tmp_path / "store", ["a", "b"], rows, encoder.about())
    similar = found(store, "--photo", files[1], "--k", 2, "--no-centre")
    assert (similar[0]["id"], similar[0]["cosine"]) == ("b", pytest.approx(1, abs=1e-3))
    assert "efficientnet-lite0 reads photos" in refused_by("similar", store, "--sentence", "a hat")
