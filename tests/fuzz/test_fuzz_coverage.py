"""Each module that reads a file of any shape has a fuzz target, or a reason why it needs none."""

import re

from places import ROOT

READS = re.compile(
    r"\b(json\.loads?|parse_json|read_json_object|json_lines|yaml\.load|np\.load|np\.memmap|ParquetFile|pq\.read_\w+|"
    r"read_parquet|read_arrays|read_csv|scan_csv|safe_open|load_file|csv\.reader|sqlite3\.connect|from_pretrained|"
    r"h5py\.File|Image\.open)\("
)
EXEMPT = {
    "finetune.captioning.filling.csv_cells": "reads again what `read_values` has read",
    "finetune.captioning.filling.fill": "its record is `finetune.data.filled`'s, of which it takes a hash",
    "finetune.captioning.filling.tables": "reads again what `read_values` has read",
    "finetune.data.demo.catalogue": "compares one key of the mark of `marked_folder`",
    "finetune.data.demo.facad": "writes",
    "finetune.data.fetching.written": "a few keys of its own mark",
    "recommend.retrieval.compose": "names of categories, by a `JsonReader`",
    "finetune.models.adapter_patterns": "a pipe of our own process",
    "finetune.models.processor_files": "what `save_pretrained` has just written",
    "finetune.models.families.tiny_tokenizers": "what a library has just made",
    "metrics.bench.runner": "a benchmark's own child",
    "metrics.bench.workloads": "a benchmark's own files",
    "metrics.photos.hdf5": "photos: test_fuzz_photos.py",
    "metrics.photos.reading": "photos: test_fuzz_photos.py",
    "metrics.encoders.safe_loading": "called within `metrics.encoders.pretrained.loading`",
    "metrics.measures.attributes.worker_main": "a pipe of our own process",
    "metrics.measures.attributes.workers": "a pipe of our own process",
    "metrics.measures.category.measure": "test_classifiers opens it",
    "metrics.measures.category.training": "its own checkpoint, whose damage it names",
    "metrics.measures.spice.measure": "what our own Java process has written",
    "recommend.bench.embed_cost": "a benchmark's own child",
    "recommend.bench.purchase_steps": "a benchmark's own files",
    "recommend.items.query_encoding": "a pipe of our own process",
    "recommend.retrieval.trained": "features.json and weights: `About`, and safetensors' own checks",
}


def test_each_reader_has_a_target() -> None:
    files = [path for room in ("finetune", "metrics", "recommend") for path in (ROOT / room).rglob("*.py")]
    reading = [path for path in files if READS.search(path.read_text(encoding="utf-8"))]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in reading}
    targets = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "fuzz").glob("test_fuzz_*.py"))
    assert sorted(name for name in names - EXEMPT.keys() if f'"{name}"' not in targets) == []
    assert sorted(EXEMPT.keys() - names) == []
