"""Reads what Weights & Biases keeps of an offline run: records of its protocol in LevelDB's log format."""

import json
import struct
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, FULL, FIRST, LAST = 32768, 1, 2, 4


def records(file: Path) -> list[Any]:
    """All records of a `run-ID.wandb`; its blocks and chunks: leveldb/doc/log_format.md, behind 7 bytes of W&B's own."""
    data, at, found, whole = file.read_bytes(), 7, [], b""
    assert data.startswith(b":W&B")
    while at < len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        chunk = data[at + 7 : at + 7 + length]
        whole = chunk if kind in (FULL, FIRST) else whole + chunk
        if kind in (FULL, LAST):
            found.append(Record.FromString(whole))
        at += 7 + length
    return found


class OfflineRun:
    """One folder `offline-run-*`: its id, configuration, summary and history."""

    def __init__(self, folder: Path) -> None:
        (self.file,) = folder.glob("run-*.wandb")
        self.id = self.file.stem.removeprefix("run-")
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.artifacts = []
        for record in records(self.file):
            for update in (*record.run.config.update, *record.config.update):
                self.config |= _named(update)
            for update in record.summary.update:
                self.summary |= _named(update)
            if record.history.item:
                self.history.append({k: v for item in record.history.item for k, v in _named(item).items()})
            if record.HasField("artifact"):
                self.artifacts.append(record.artifact)
            if record.HasField("request") and record.request.HasField("log_artifact"):
                self.artifacts.append(record.request.log_artifact.artifact)


def _named(item: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json)}
