"""Writing a feature store: batch after batch, resumed after any interruption, and under its name only when whole."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_files import (
    ABOUT,
    IDS,
    ROWS,
    STORED,
    About,
    Dtype,
    Pieces,
    finite_rows,
    read_shape,
    to_float32,
    to_stored,
)
from metrics.common.errors import UserError
from metrics.common.files import json_lines, make_folder, one_line, read_json_object, sha256, write_text
from metrics.common.locks import alone
from metrics.common.version import installed_version
from metrics.records.json_reader import JsonReader


class FeatureWriter:
    """Appends rows to a hidden draft beside `path`, which `finish` gives that name. Use it as a `with` block.

    A draft that an interrupted process left is continued: `ids` are those that it has already.
    Entering the block raises `UserError` if `path` exists or the draft is of other features; it waits for a process
    that writes the same store.
    """

    def __init__(self, path: Path, about: About, shape: tuple[int, ...], dtype: Dtype = "float16") -> None:
        refuse_existing(path)
        self.path, self.about, self.shape, self.dtype = path, about, shape, dtype
        self.draft = path.with_name(f".{path.name}.partial")
        self.ids: list[str] = []
        self._known: set[str] = set()
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(alone(self.draft, f"waiting for another process that writes {self.path}"))
            refuse_existing(self.path)  # once more: that process may have finished it
            make_folder(self.draft)
            self._claim()
            self.ids = self._recover()
            self._known = set(self.ids)
            self._held = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def append(self, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Add n ids with their rows (n, *shape).

        Raises `UserError` if an id is there already, if the shape is another, or if a row is not finite in `dtype`.
        """
        if rows.shape != (len(ids), *self.shape):
            raise UserError(f"{self.path}: expected rows of shape {(len(ids), *self.shape)}, found {rows.shape}")
        counts = Counter(ids)
        repeated = next((key for key in ids if key in self._known or counts[key] > 1), None)
        if repeated is not None:
            raise UserError(f"{self.path}: the id {repeated} is there twice; give each item an id of its own")
        stored = to_stored(rows, self.dtype)
        self._check_finite(ids, to_float32(stored, self.dtype))
        try:  # rows first: an id on disk has its row
            _append(self.draft / ROWS, stored.tobytes())
            _append(self.draft / IDS, "".join(one_line(json.dumps(key)) + "\n" for key in ids).encode())
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}; make room and start again: what is written is kept"
            ) from error
        self.ids.extend(ids)
        self._known.update(ids)

    def finish(self) -> None:
        """Write what the features are, and give the draft its name."""
        if not self.ids:
            raise UserError(f"{self.path}: no item has features; nothing is written")
        ids, rows = (sha256(self.draft / name) for name in (IDS, ROWS))
        digest = hashlib.sha256(bytes.fromhex(ids + rows)).hexdigest()
        pieces = asdict(Pieces.of(self.draft / ROWS, self._bytes_each))
        self._write_about(rows=len(self.ids), digest=digest, ids_digest=ids, pieces=pieces)
        self.draft.rename(self.path)

    def _claim(self) -> None:
        """Mark a new draft as ours, with what its features are; refuse one of other features."""
        file = self.draft / ABOUT
        remedy = f"remove {self.draft} if it is not to be continued, or give another --out"
        if not file.is_file():
            if any(self.draft.iterdir()):
                raise UserError(f"{self.draft}: holds files that are no unfinished features; move them away")
            self._write_about()
            return
        reader = JsonReader(read_json_object(file, remedy), str(file), remedy)
        self.about.refuse_other(About.from_json(reader.inside("about")), str(self.draft), remedy)
        found = (read_shape(reader), reader.text("dtype"))
        if found != (self.shape, self.dtype):
            raise UserError(f"{self.draft}: expected rows of {self.shape} {self.dtype}, found {found}; {remedy}")

    def _write_about(self, **finished: Any) -> None:
        values = {
            "lookbook": installed_version(),
            "shape": list(self.shape),
            "dtype": self.dtype,
            "about": self.about.to_json(),
            **finished,
        }
        write_text(self.draft / ABOUT, json.dumps(values, indent=1) + "\n")

    @property
    def _bytes_each(self) -> int:
        return prod(self.shape) * STORED[self.dtype].itemsize

    def _recover(self) -> list[str]:
        """The ids whose rows are whole; what an interruption cut off is removed."""
        for name in (ROWS, IDS):
            (self.draft / name).touch()
        _cut_last_line(self.draft / IDS)
        ids = [str(key) for _, key in json_lines(self.draft / IDS)]
        rows = (self.draft / ROWS).stat().st_size // self._bytes_each
        if len(ids) > rows:
            ids = ids[:rows]
            write_text(self.draft / IDS, "".join(one_line(json.dumps(key)) + "\n" for key in ids))
        os.truncate(self.draft / ROWS, len(ids) * self._bytes_each)
        return ids

    def _check_finite(self, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        finite = finite_rows(rows)
        if not finite.all():
            raise UserError(
                f"{self.path}: the features of {ids[int(np.argmin(finite))]} are not finite in {self.dtype}; try "
                "--dtype float32, and check the encoder's weights"
            )


def refuse_existing(path: Path) -> None:
    """Raise `UserError` if there is something at the path of a new store."""
    if path.exists():
        raise UserError(f"{path}: exists already; give another --out, or remove it")


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _cut_last_line(path: Path) -> None:
    """Remove a line that has no end."""
    with path.open("rb") as file:
        whole = sum(len(line) for line in file if line.endswith(b"\n"))
    os.truncate(path, whole)
