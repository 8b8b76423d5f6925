"""Captions, records, vocabularies, classifiers, folders of `score`: changed ones are read or refused, to the report."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from caption_files import reference, row
from fuzzing import as_json, damaged, files, folder, fuzz, line_files, put, reads_or_refuses
from hypothesis import strategies as st
from run_records import RUN, TRAINED
from typer.testing import CliRunner
from viewer_pages import write_shop

from metrics.__main__ import app
from metrics.common.ownership import MARK, Contents, refuse_foreign
from metrics.measures.attributes import stanza_models
from metrics.measures.attributes.lemma_cache import LemmaCache
from metrics.measures.attributes.vocabulary import listed_attributes, read_vocabulary
from metrics.measures.base import Measure, Measured
from metrics.measures.category.measure import Category
from metrics.measures.statistics import mean_of
from metrics.records.caption_sets import load_systems
from metrics.records.captions import read_captions, read_records
from metrics.records.run import TrainingRecord
from metrics.reports.report import write_report
from metrics.scoring.suite import score_systems
from metrics.text.corpus import Corpus
from metrics.viewer.building import open_index
from metrics.viewer.ratings.export import to_csv
from metrics.viewer.ratings.store import Rating, RatingStore
from metrics.viewer.source_table import source_rows

ROWS: list[Any] = [
    row(
        number,
        "a dress",
        reference(number),
        category="dress",
        attributes={"colour": "red"},
        seen=True,
        logprob=-0.5,
        tokens=3,
    )
    for number in range(3)
]
ONE = Rating("01", "tuned", "Ann", 4, "good", False, "2026-01-02T03:04:05+00:00")


class Half(Measure):
    """A half for every item, whatever they are."""

    names = ("CIDEr",)
    tokenizer = "none"

    def measure(self, corpus: Corpus) -> list[Measured]:
        return [Measured({"CIDEr": mean_of(np.full(len(corpus.items), 0.5))}) for _ in corpus.captions]


def report(captions: Path) -> None:
    write_report(score_systems(load_systems([captions]), None, [Half()]), captions.parent / "report")


@fuzz("metrics.records.captions", content=line_files(ROWS))
def test_captions(content: bytes) -> None:
    path = put(folder("captions") / "captions.jsonl", content)
    reads_or_refuses(read_records, path)
    reads_or_refuses(read_captions, path)


@fuzz("metrics.records.captions", cost=80, content=line_files(ROWS))
def test_the_report_of_captions(content: bytes) -> None:
    reads_or_refuses(report, put(folder("scored") / "captions.jsonl", content))


@fuzz("metrics.records.run", cost=80, content=files(RUN))
def test_the_report_beside_a_run_record(content: bytes) -> None:
    put(folder("run") / "run.json", content)
    reads_or_refuses(report, put(folder("run") / "captions.jsonl", b"\n".join(map(as_json, ROWS))))


@fuzz("metrics.records.run", content=files(TRAINED))
def test_the_record_of_a_training(content: bytes) -> None:
    reads_or_refuses(TrainingRecord.read, put(folder("training") / "training.json", content))


@fuzz(
    "metrics.measures.attributes.vocabulary",
    content=files({"pipeline": "p", "source": {"file": "f", "captions": 3}, "attributes": {"red": 3, "hat": None}}),
    words=files(["red", "hat"]) | st.lists(st.text()).map(lambda lines: "\n".join(lines).encode("utf-8", "replace")),
)
def test_vocabularies(content: bytes, words: bytes) -> None:
    reads_or_refuses(read_vocabulary, put(folder("vocabulary") / "vocabulary.json", content))
    reads_or_refuses(listed_attributes, put(folder("vocabulary") / "words", words), "pipeline")


ACCOUNT = {"sha256": "0" * 64, "unknown_categories": ["hat"], "examples": 3}
CLASSIFIER = {
    "finished": True,
    "settings": {"base": "tiny", "epochs": 3},
    "data": {"train": ACCOUNT, "test": ACCOUNT},
    "validation_accuracy": [0.5, 0.6],
    "best_epoch": 2,
    "cut": {"train": 0},
    "test_accuracy": {"all": 0.5},
}
CONFIG = {"model_type": "bert", "id2label": {"0": "dress", "1": "top"}}


@fuzz("metrics.measures.category.classifier", record=files(CLASSIFIER), config=files(CONFIG))
def test_classifiers(record: bytes, config: bytes) -> None:
    root = folder("classifier")
    put(root / "model.safetensors", b"")
    put(root / "config.json", config)
    put(root / "classifier.json", record)
    reads_or_refuses(Category, root)


PACKAGES = {"tokenize": {"combined": {}}, "pos": {"combined": {"dependencies": [{"model": "a", "package": "b"}]}}}
STANZA = {"en": PACKAGES | {"packages": {"default": {"tokenize": "combined", "pos": "combined"}}}}


@fuzz("metrics.measures.attributes.stanza_models", content=files(STANZA))
def test_the_list_of_stanza_models(content: bytes) -> None:
    path = put(folder("stanza") / stanza_models.RESOURCES, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STANZA_RESOURCES_DIR", str(path.parent))
        reads_or_refuses(stanza_models._english_files)


def shop() -> Path:
    root = folder("shop")
    return root / "scores" if (root / "scores").exists() else write_shop(root)


@fuzz("metrics.viewer.score_folder", "metrics.viewer.building", "metrics.viewer.index", cost=40, data=st.data())
def test_folders_of_scores_in_the_viewer(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["report.json", "items.jsonl", "scored-references.jsonl"]))
    original = (shop() / name).read_bytes()
    values = json.loads(original) if name == "report.json" else [json.loads(line) for line in original.splitlines()]
    content = data.draw(files(values) if name == "report.json" else line_files(values))
    try:
        put(shop() / name, content)
        reads_or_refuses(open_index, [shop()])
    finally:
        put(shop() / name, original)


@fuzz("metrics.viewer.building", cost=40, data=st.data())
def test_kept_indexes_of_the_viewer(data: st.DataObject) -> None:
    index, whole = open_index([shop()]), folder("index") / "whole"
    if not whole.exists():
        put(whole, index.path.read_bytes())
    put(index.path, data.draw(damaged(whole.read_bytes())))
    reads_or_refuses(lambda: open_index([shop()]).measures)


def ratings() -> bytes:
    path = folder("rated") / "ratings.sqlite"
    RatingStore(path).save([ONE])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    return path.read_bytes()


@fuzz("metrics.viewer.ratings.store", data=st.data())
def test_files_of_ratings(data: st.DataObject) -> None:
    store = RatingStore(put(folder("ratings") / "ratings.sqlite", data.draw(damaged(ratings()))))
    reads_or_refuses(lambda: to_csv(store.all()))
    reads_or_refuses(store.save, [ONE])


@fuzz("metrics.viewer.ratings.store", value=st.none() | st.integers(-9, 9) | st.binary() | st.text(max_size=3))
def test_cells_of_ratings(value: Any) -> None:
    content = ratings()
    for column in ("item", "rating", "note", "time", "caption_sha256"):
        path = put(folder("cells") / "ratings.sqlite", content)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA ignore_check_constraints = 1")
            try:
                database.execute(f"UPDATE ratings SET {column} = ?", [value])  # noqa: S608
            except sqlite3.Error:  # what the table itself refuses
                continue
        store = RatingStore(path)
        reads_or_refuses(lambda store=store: to_csv(store.all()))


COLUMN = st.one_of(
    st.lists(st.none() | st.text(max_size=4), min_size=2, max_size=2),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    st.lists(st.lists(st.text(max_size=2)), min_size=2, max_size=2),
    st.lists(st.datetimes(), min_size=2, max_size=2),
)


@fuzz("metrics.viewer.source_table", columns=st.dictionaries(st.sampled_from(["id", "role", "source.a"]), COLUMN))
def test_the_catalogues_own_table(columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder("source") / "items.parquet"
    pq.write_table(pa.table(columns), path)
    reads_or_refuses(source_rows, path)
    content = path.read_bytes()
    reads_or_refuses(source_rows, put(path, content[: len(content) // 2] + b"\0" + content[len(content) // 2 :]))


@fuzz("metrics.measures.attributes.lemma_cache", data=st.data())
def test_kept_lemmas(data: st.DataObject) -> None:
    whole = folder("lemmas") / "lemmas.sqlite"
    if not whole.exists():
        LemmaCache(whole).add({"a red dress": ["red", "dress"]})
    path = put(folder("lemmas") / "damaged.sqlite", data.draw(damaged(whole.read_bytes())))
    reads_or_refuses(lambda: LemmaCache(path).find(["a red dress"]))


def test_a_record_with_numbers_that_no_float_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.scoring.registry.choose_measures", lambda *_: [Half()])
    captions = put(tmp_path / "captions.jsonl", b"\n".join(map(as_json, ROWS)))
    put(tmp_path / "run.json", b'{"recipe": {"x": 1e400}, "decoding": {"beams": -1e400}, "times": {"train_s": 1e400}}')
    result = CliRunner().invoke(app, ["score", str(captions), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    [system] = json.loads((tmp_path / "out" / "report.json").read_text())["systems"]
    assert (system["run"]["recipe"], system["run"]["decoding"]) == ({"x": None}, {"beams": None})


@fuzz("metrics.common.ownership", mark=files({"lookbook": "1", "files": ["report.*"]}))
def test_marks_of_folders(mark: bytes) -> None:
    root = put(folder("marked") / MARK, mark).parent
    put(root / "report.json", mark)
    reads_or_refuses(refuse_foreign, root, Contents({"report.json": '"lookbook"'}, "report.json"))


COCO = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "A top"}]}
TABLE = b'\xef\xbb\xbfid;caption;references\r\n1;"A ""top""";"[""a"", ""b""]"\r\n2;=A1;\r\n'


def workbook() -> bytes:
    path = folder("workbooks") / "whole.xlsx"
    if not path.exists():
        book = openpyxl.Workbook()
        for cells in (["id", "caption"], ["1", "A top"]):
            book.active.append(cells)
        book.save(path)
    return path.read_bytes()


@fuzz("metrics.records.foreign", content=files(COCO) | files([{"image_id": 1, "caption": "A top"}]))
def test_captions_of_coco(content: bytes) -> None:
    reads_or_refuses(read_records, put(folder("coco") / "captions.json", content))


@fuzz("metrics.records.spreadsheets", "metrics.records.workbooks", cost=12, data=st.data())
def test_tables_of_captions(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["csv", "tsv", "xlsx"]))
    whole = workbook() if kind == "xlsx" else TABLE
    reads_or_refuses(read_records, put(folder("sheets") / f"captions.{kind}", data.draw(damaged(whole))))
