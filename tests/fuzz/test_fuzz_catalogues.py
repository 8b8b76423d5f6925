"""The files of catalogues and stores: tables, FACAD's JSON, prepared rows, fillings, features."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feature_stores import write_store
from fuzzing import TEXTS, damaged, files, folder, fuzz, line_files, put, reads_or_refuses
from hypothesis import strategies as st
from tiny import article, kaggle_photo
from tiny_facad import META, facad

from finetune.captioning.partial import _read_journal
from finetune.captioning.run_request import _ids
from finetune.data import arrow_cache
from finetune.data.account import Account
from finetune.data.catalogues.facad.loader import load_facad_folder
from finetune.data.catalogues.facad.meta import write_image_urls
from finetune.data.catalogues.fashion_product import _description, read_styles
from finetune.data.catalogues.hm import load_kaggle_folder
from finetune.data.catalogues.json_stream import json_list
from finetune.data.catalogues.tables import read_table
from finetune.data.demo.marked_folder import write_whole
from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter
from finetune.data.filled import filled_texts
from finetune.data.items import read_items
from finetune.data.readers import NUMBER, TEXT, read_arrays, read_parquet
from finetune.embedding.pca import PCA, Projected
from finetune.embedding.texts import read_texts
from finetune.models.encoders.tfidf import TfidfEncoder
from finetune.runs.place import folder_section

ROWS: list[dict[str, Any]] = [{"file_name": "a.jpg", "text": "A top", "size": 1.5, "tags": ["a", "b"]}] * 2
CSV = b'\xef\xbb\xbffile_name,text\r\na.jpg,"A ""top"",\nred"\r\nb.jpg,\r\n'


def parquet(columns: Any, notes: bytes | None = None) -> bytes:
    """A table, with what pandas has noted in it."""
    table, sink = pa.table(columns), pa.BufferOutputStream()
    pq.write_table(table if notes is None else table.replace_schema_metadata({"pandas": notes}), sink)
    return bytes(sink.getvalue())


CELLS = st.one_of(
    st.lists(st.none() | st.text(max_size=3), min_size=2, max_size=2),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    st.lists(st.floats(width=32), min_size=2, max_size=2),
    st.lists(st.lists(st.text(max_size=2), max_size=2), min_size=2, max_size=2),
    st.lists(st.binary(max_size=4), min_size=2, max_size=2),
    st.lists(st.datetimes(), min_size=2, max_size=2),
    st.lists(st.booleans(), min_size=2, max_size=2),
)
NAMES = st.sampled_from(["id", "product_id", "role", "description", "file_name", "text", "cosine", "source.a", ""])
NOTES = {
    "index_columns": ["id"],
    "columns": [{"name": "id", "field_name": "id", "pandas_type": "unicode"}],
    "column_indexes": [],
}
TABLES = st.builds(parquet, st.dictionaries(NAMES, CELLS, max_size=4), st.none() | files(NOTES))
PARQUETS = TABLES | TABLES.flatmap(damaged) | st.binary(max_size=40)


@fuzz("finetune.data.catalogues.tables", content=line_files(ROWS))
def test_jsonl_tables(content: bytes) -> None:
    reads_or_refuses(read_table, put(folder("tables") / "table.jsonl", content), ["text"], ["tags"])


@fuzz("finetune.data.catalogues.tables", "finetune.runs.place", content=damaged(CSV) | st.binary(max_size=60))
def test_csv_tables(content: bytes) -> None:
    path = put(folder("csv") / "metadata.csv", content)
    reads_or_refuses(read_table, path, ["text"])
    reads_or_refuses(folder_section, path.parent)


@fuzz("finetune.data.catalogues.tables", "finetune.data.readers", "finetune.data.items", content=PARQUETS)
def test_parquet_tables(content: bytes) -> None:
    path = put(folder("parquet") / "table.parquet", content)
    reads_or_refuses(read_table, path, ["text"])
    reads_or_refuses(read_items, path)
    reads_or_refuses(read_items, path, ["id", "role"])
    reads_or_refuses(read_parquet, path, "again", {"id": TEXT, "cosine": NUMBER})


STYLES = b"id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"
STYLES += b"15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle, Check\n"


@fuzz(
    "finetune.data.catalogues.fashion_product",
    table=damaged(STYLES),
    about=files({"data": {"productDescriptors": {"description": {"value": "<p>A &amp; B</p>"}}}}),
)
def test_fashion_product_images(table: bytes, about: bytes) -> None:
    reads_or_refuses(read_styles, put(folder("styles") / "styles.csv", table))
    reads_or_refuses(_description, put(folder("styles") / "1.json", about))


@fuzz("finetune.data.catalogues.json_stream", content=files(META))
def test_long_lists(content: bytes) -> None:
    reads_or_refuses(json_list, put(folder("lists") / "list.json", content))


@fuzz("finetune.data.catalogues.facad.meta", content=files(META))
def test_the_meta_file_of_facad(content: bytes) -> None:
    reads_or_refuses(write_image_urls, put(folder("meta") / "meta.json", content), folder("meta") / "urls.csv")


def facad_folder() -> Path:
    root = folder("facads") / "facad"
    return root if root.exists() else facad(root)


@fuzz("finetune.data.catalogues.facad.rows", cost=25, data=st.data())
def test_the_files_of_facad(data: st.DataObject) -> None:
    root = facad_folder()
    kinds = ["WORDMAP", "meta_all_2", "TEST_CAPTIONS", "TEST_CAPLENS", "TEST_ATTRS", "TRAIN_CATES_FLAT"]
    path = root / f"{data.draw(st.sampled_from(kinds))}.json"
    original = path.read_bytes()
    try:
        put(path, data.draw(files(json.loads(original))))
        reads_or_refuses(lambda: load_facad_folder(root, "facad", 1))
    finally:
        put(path, original)


ACCOUNT = {
    "name": "a",
    "fingerprint": "f",
    "split": {"method": "m", "sizes": {"train": 1}},
    "counts": [],
    "sha256": "0",
}


@fuzz("finetune.data.account", "finetune.data.arrow_cache", content=files(ACCOUNT))
def test_prepared_catalogues(content: bytes) -> None:
    path = put(folder("prepared") / "account.json", content)
    assert arrow_cache.is_whole(path.parent) is False
    try:
        Account.from_json(content.decode("utf-8", "replace"), None)
    except (ValueError, KeyError, TypeError):  # what `is_whole` knows as damage
        return


FILLED = {"written": "2026", "system": {"model": "m"}, "filled": {"1": {"text": "A top", "confidence": 0.5}}}


@fuzz("finetune.data.filled", content=files(FILLED | {"earlier": [FILLED], "sha256": "0"}))
def test_fillings(content: bytes) -> None:
    put(folder("filled") / "table.csv.filled.json", content)
    reads_or_refuses(filled_texts, folder("filled") / "table.csv")


MARK = {"articles": 10, "seed": 0, "version": 1}


@fuzz("finetune.data.demo.marked_folder", content=files(MARK))
def test_marks_of_drawn_catalogues(content: bytes) -> None:
    root = put(folder("marks") / "drawn" / "demo.json", content).parent
    reads_or_refuses(lambda: write_whole(root, MARK, lambda draft: None))


JOURNAL: list[Any] = [
    {"id": str(number), "caption": "a", "logprob": -1.0, "tokens": 3, "finished": True} for number in (1, 2)
]


@fuzz("finetune.captioning.partial", content=line_files(JOURNAL).map(lambda lines: lines + b"\n"))
def test_journals_of_unfinished_captions(content: bytes) -> None:
    reads_or_refuses(_read_journal, put(folder("journals") / ".captions.partial", content))


@fuzz("finetune.captioning.run_request", content=st.binary(max_size=40))
def test_lists_of_ids(content: bytes) -> None:
    reads_or_refuses(_ids, put(folder("ids") / "ids.txt", content))


STORE = ("features.json", "ids.jsonl", "rows.bin")


def store() -> Path:
    root = folder("stores") / "store"
    return root if root.exists() else write_store(root, ["a", "b", "c"], np.eye(3), dtype="float32")


def read_store(path: Path) -> None:
    found = FeatureStore.open(path)
    found.check()
    found.vectors()


@fuzz("finetune.data.feature_cache", "finetune.data.feature_files", cost=8, data=st.data())
def test_feature_stores(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(STORE))
    original = (store() / name).read_bytes()
    content = files(json.loads(original)) if name == "features.json" else damaged(original)
    try:
        put(store() / name, data.draw(line_files(["a", "b", "c"]) if name == "ids.jsonl" else content))
        reads_or_refuses(read_store, store())
    finally:
        put(store() / name, original)


@fuzz(
    "finetune.data.feature_writer",
    cost=8,
    about=files({"shape": [2], "dtype": "float16", "about": {"encoder": "e", "reads": "photo"}}),
    ids=line_files(["a"]),
)
def test_unfinished_stores(about: bytes, ids: bytes) -> None:
    draft = folder("drafts") / ".new.partial"
    for name, content in zip(STORE, (about, ids, b"\0" * 8), strict=True):
        put(draft / name, content)

    def resume() -> None:
        with FeatureWriter(draft.parent / "new", About("e", "photo"), (2,)):
            pass

    reads_or_refuses(resume)


@fuzz("finetune.embedding.texts", content=line_files([{"id": "1", "text": "a", "from": "caption"}]))
def test_texts_of_stores(content: bytes) -> None:
    reads_or_refuses(read_texts, put(folder("texts of stores") / "texts.jsonl", content).parent)


@fuzz("finetune.models.encoders.tfidf", content=files({"red": 1.5, "dress": 2}))
def test_vocabularies_of_stores(content: bytes) -> None:
    encoder = TfidfEncoder()
    reads_or_refuses(encoder.restore, put(folder("tfidf") / "vocabulary.json", content).parent)


def arrays(**named: Any) -> bytes:
    path = folder("npz") / "arrays.npz"
    np.savez(path, **named)
    return path.read_bytes()


@fuzz("finetune.embedding.pca", data=st.data())
def test_arrays(data: st.DataObject) -> None:
    whole = arrays(mean=np.zeros(3), components=np.eye(3)[: data.draw(st.integers(0, 3))])
    path = put(folder("arrays") / PCA, data.draw(damaged(whole) | st.just(whole) | st.binary(max_size=30)))
    reads_or_refuses(read_arrays, path, "again")
    encoder = TfidfEncoder()
    encoder.shape = (3,)
    reads_or_refuses(Projected.of, encoder, path.parent)


@fuzz("finetune.data.catalogues.hm", row=st.dictionaries(st.sampled_from(sorted(article(0))), TEXTS))
def test_articles_of_hm(row: dict[str, str]) -> None:
    root = folder("hm")
    put(kaggle_photo(root, article(0)["article_id"]), b"")
    cells = {**article(0), **row}
    lines = [",".join(map(json.dumps, line)) for line in (cells, cells.values())]
    put(root / "articles.csv", "\n".join(lines).encode("utf-8", "replace"))
    reads_or_refuses(load_kaggle_folder, root, "hm")
