"""Purchases, tables of items and of neighbours, FashionIQ, results."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from composing import row, write_split
from fuzzing import TEXTS, damaged, files, folder, fuzz, put, reads_or_refuses
from hypothesis import strategies as st
from purchase_files import kaggle_purchases
from recommending import items_table

from recommend.common.columns import column_names, read_columns
from recommend.experiments.results import Place
from recommend.interactions.account import account
from recommend.interactions.csv_file import read_table
from recommend.interactions.purchases import PurchasesFolder, write_purchases
from recommend.interactions.settings import read_articles
from recommend.interactions.table1 import table1
from recommend.ranker.customers import read_customers
from recommend.recommenders.content_table import read_neighbours
from recommend.recommenders.missing.held_out import held_out
from recommend.retrieval import fashion_iq

ARTICLES = ("0100000001", "0100000002", "0100000003")
LINES = [("2020-09-01", "ann", "0100000001"), ("2020-09-02", "bea", "0100000002")]
KINDS = st.sampled_from(
    [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.null(), pa.binary(), pa.list_(pa.string())]
)


def parquet(path: Path, columns: dict[str, list[Any]], kinds: dict[str, pa.DataType]) -> Path:
    """Write a table, some of whose columns have another type, with nulls where a value cannot have it."""
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values).cast(kinds[name]) if name in kinds else pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            arrays[name] = pa.nulls(len(values), kinds[name])
    path.unlink(missing_ok=True)
    pq.write_table(pa.table(arrays), path)
    return path


def csv_folder() -> Path:
    root = folder("purchases") / "csv"
    return root if root.exists() else kaggle_purchases(root, LINES, ARTICLES)


DAYS = st.sampled_from(["0000-01-01", "9999-12-31", "-0001-01-01", "12345-01-01", "2020-13-01", "1e400", ""])


@fuzz(
    "recommend.interactions.csv_file",
    "recommend.interactions.purchases",
    cost=25,
    content=damaged(
        b"t_dat,customer_id,article_id,price\n" + "".join(f"{','.join(line)},0.05\n" for line in LINES).encode()
    )
    | st.tuples(DAYS, TEXTS, TEXTS).map(
        lambda cells: f"t_dat,customer_id,article_id\n2020-09-01,ann,0100000001\n{','.join(cells)}\n".encode(
            "utf-8", "replace"
        )
    ),
)
def test_purchases_in_csv(content: bytes) -> None:
    root = folder("purchases in csv")
    put(root / "articles.csv", "\n".join(["article_id", *ARTICLES, ""]).encode())
    path = put(root / "transactions_train.csv", content)
    reads_or_refuses(read_table, path, list(ARTICLES))

    def whole() -> None:
        out = root / "bought"
        for old in out.glob("*") if out.exists() else ():
            old.unlink()
        if out.exists():
            out.rmdir()
        made = write_purchases(root, out)
        list(account(made))
        table1(made)

    reads_or_refuses(whole)


@fuzz(
    "recommend.interactions.settings",
    articles=damaged(b"article_id,prod_name\n0100000001,A\n0100000002,B\n"),
    kinds=st.dictionaries(st.sampled_from(["id", "image", "description", "role"]), KINDS),
)
def test_articles(articles: bytes, kinds: dict[str, pa.DataType]) -> None:
    root = folder("articles")
    put(root / "articles.csv", articles)
    reads_or_refuses(read_articles, root, None)
    columns = {"id": ["1", "2"], "image": ["a.jpg", None], "description": ["A", ""], "role": ["train", "test"]}
    items = parquet(root / "items.parquet", columns, kinds)
    reads_or_refuses(read_articles, root, items)
    reads_or_refuses(held_out, root / "captions.jsonl", items, None, ["1", "2"])


def bought() -> Path:
    root = folder("bought") / "purchases"
    return root if root.exists() else write_purchases(csv_folder(), root).path


def use(path: Path) -> None:
    found = PurchasesFolder.open(path)
    list(account(found))
    table1(found)
    found.customer_ids()


@fuzz("recommend.interactions.purchases", cost=10, data=st.data())
def test_folders_of_purchases(data: st.DataObject) -> None:
    about = bought() / "purchases.json"
    original = about.read_bytes()
    try:
        put(about, data.draw(files(json.loads(original))))
        reads_or_refuses(use, bought())
    finally:
        put(about, original)


@fuzz(
    "recommend.interactions.purchases",
    cost=10,
    kinds=st.dictionaries(st.sampled_from(["customer", "article", "day"]), KINDS),
    places=st.lists(st.integers(-2, 5), min_size=3, max_size=3),
)
def test_tables_of_purchases_whose_hashes_were_made_to_fit(kinds: dict[str, Any], places: list[int]) -> None:
    from metrics.common.files import sha256

    root = folder("forged")
    for name in ("purchases.json", "customers.parquet", "articles.parquet"):
        put(root / name, (bought() / name).read_bytes())
    columns = {"customer": places, "article": places, "day": [18506] * 3}
    parquet(root / "purchases.parquet", columns, kinds)
    about = json.loads((root / "purchases.json").read_text())
    about["files"]["purchases.parquet"] = sha256(root / "purchases.parquet")
    put(root / "purchases.json", json.dumps(about).encode())
    reads_or_refuses(use, root)


@fuzz(
    "recommend.common.columns",
    kinds=st.dictionaries(st.sampled_from(["id", "product_id", "source.colour"]), KINDS),
    how=st.sampled_from(["whole", "cut", "damaged"]),
    data=st.data(),
)
def test_columns_of_items(kinds: dict[str, Any], how: str, data: st.DataObject) -> None:
    path = items_table(folder("items") / "items.parquet", ["a", "b"], ["p", "p"], colour=["red", "blue"])
    if how == "whole":
        parquet(path, {"id": ["a", "b"], "product_id": ["p", "p"], "source.colour": ["1", "2"]}, kinds)
    else:
        content = path.read_bytes()
        put(path, data.draw(damaged(content)) if how == "damaged" else content[: len(content) // 2])
    reads_or_refuses(column_names, path)
    reads_or_refuses(read_columns, path, ["a", "b"], ["colour"])


@fuzz(
    "recommend.recommenders.content_table",
    kinds=st.dictionaries(st.sampled_from(["id", "neighbour", "cosine"]), KINDS),
    cosines=st.lists(st.floats(), min_size=2, max_size=2),
)
def test_tables_of_neighbours(kinds: dict[str, Any], cosines: list[float]) -> None:
    columns = {"id": ["a", "b"], "neighbour": ["b", "a"], "cosine": cosines}
    path = parquet(folder("neighbours") / "neighbours.parquet", columns, kinds)
    reads_or_refuses(read_neighbours, path, ["a", "b", "c"])


CUSTOMERS = b"customer_id,FN,Active,club_member_status,age\nann,1.0,,ACTIVE,49.0\nbea,,1.0,PRE-CREATE,\n"


@fuzz("recommend.ranker.customers", content=damaged(CUSTOMERS), cell=TEXTS | st.sampled_from(["1e400", "9" * 400]))
def test_customers(content: bytes, cell: str) -> None:
    path = folder("customers") / "customers.csv"
    reads_or_refuses(read_customers, put(path, content), ["ann", "bea"])
    reads_or_refuses(read_customers, put(path, CUSTOMERS.replace(b"49.0", cell.encode("utf-8", "replace"))), ["ann"])


@fuzz("recommend.retrieval.fashion_iq", cost=8, data=st.data())
def test_fashion_iq(data: st.DataObject) -> None:
    root = folder("fashion-iq")
    rows = [row("b", "a", "is red", "is long"), row("c", "b", "is blue")]
    contents: dict[str, Any] = {
        "captions/cap.dress.train.json": rows,
        "image_splits/split.dress.train.json": ["a", "b", "c"],
        "captions/asin2attr.dress.train.json": {"a": [["red"], [], [], [], []]},
    }
    for split in ("train", "val"):
        write_split(root, "dress", split, ["a", "b", "c"], rows, photos=False)
    changed = data.draw(st.sampled_from(sorted(contents)))
    for name, values in contents.items():
        put(root / name, data.draw(files(values)) if name == changed else json.dumps(values).encode())

    def use() -> None:
        for split in fashion_iq.read_splits(root, ["dress"]):
            assert split.with_labels >= 0
            assert split.queries is not None

    reads_or_refuses(use)


@fuzz("recommend.experiments.results", data=st.data())
def test_results(data: st.DataObject) -> None:
    place = Place(folder("results") / "model-1234", {"format": 2, "k": 5})
    if not place.folder.exists():
        place.write({"estimates": {"all": {"nDCG@5": 0.5}}}, {}, [5])
    result = place.folder / "result.json"
    original = result.read_bytes()
    try:
        put(result, data.draw(files(json.loads(original))))
        reads_or_refuses(place.is_finished)
        reads_or_refuses(place.hits)
    finally:
        put(result, original)
