"""Captions as a table for spreadsheets and data frames; `metrics.records` reads all of these forms."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from finetune.captioning.request import Format
from metrics.common.files import atomic_file
from metrics.records.captions import CaptionRecord, write_records
from metrics.records.spreadsheets import guarded


def write_captions(path: Path, records: Sequence[CaptionRecord], form: Format) -> None:
    """Write records atomically; in csv, `references` and `attributes` are JSON inside their column, texts `guarded`.

    Raises `UserError` if the file cannot be written.
    """
    if form == "jsonl":
        write_records(path, records)
        return
    table = pd.DataFrame([asdict(record) for record in records])
    table["attributes"] = table["attributes"].map(json.dumps)
    with atomic_file(path) as temporary:
        if form == "csv":
            table["references"] = table["references"].map(json.dumps)
            table = table.map(lambda value: guarded(value) if isinstance(value, str) else value)
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)
