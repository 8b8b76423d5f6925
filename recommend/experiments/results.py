"""Finished models on disk: what went in, the lists, every customer's values, the estimates.

Each has a folder `rows/NAME-HASH`, where the hash is of what went in, so that a changed recipe leaves the results of
the earlier one alone, and a result is never taken for another's.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, read_json_object, write_text
from recommend.experiments.measured import Slice
from recommend.ranking.hits import Hits, grouped

_RESULT = "result.json"
_FORMAT = 2
_REMEDY = "remove this folder, and the model is fitted again"


@dataclass(frozen=True)
class Place:
    """Where the result of one model on one data set lies, and what went into it."""

    folder: Path
    inputs: Mapping[str, Any] = field(compare=False)

    @classmethod
    def of(cls, output: Path, title: str, inputs: Mapping[str, Any]) -> "Place":
        """The place in the recipe's `output`."""
        whole = {"format": _FORMAT, **inputs}
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        return cls(output / "rows" / f"{name}-{digest[:10]}", whole)

    @property
    def unfinished(self) -> Path:
        """Where a model that takes long keeps what it has learnt so far."""
        return self.folder.with_name(f"{self.folder.name}.unfinished")

    def remove_unfinished(self) -> None:
        """Remove what a fit kept in case that it is interrupted, up to gigabytes; there must be a result."""
        if self.unfinished.exists():
            shutil.rmtree(self.unfinished)

    def is_finished(self) -> bool:
        """Whether there is a whole result of these inputs. Raises `UserError` if something else is there."""
        if not self.folder.exists():
            return False
        if self.read()["inputs"] != json.loads(json.dumps(self.inputs)):
            raise UserError(f"{self.folder}: expected the result of this recipe, found another; move it away")
        return True

    def read(self) -> dict[str, Any]:
        """What `write` was given, but for lists and values. Raises `UserError` if anything of it was changed since."""
        result = read_json_object(self.folder / _RESULT, _REMEDY, parse_constant=str)
        if result.pop("sha256", None) != _digest(result):
            raise UserError(f"{self.folder / _RESULT}: is not as it was written; {_REMEDY}")
        return result

    def hits(self) -> dict[str, Hits]:
        """The hits of each slice's customers. Raises `UserError` if a file is missing or damaged."""
        return {name: self._hits(self.folder / _file(name)) for name in self.read()["slices"]}

    def _hits(self, path: Path) -> Hits:
        try:
            table = pq.read_table(path, columns=["hits", "relevant"])
            marks = table["hits"].combine_chunks()
            rows = marks.flatten().to_numpy(zero_copy_only=False).reshape(len(marks), -1)
            return grouped(rows, table["relevant"].to_numpy().astype(np.int64))
        except (pa.ArrowException, OSError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: cannot read it ({error}); {_REMEDY}") from error

    def write(self, result: Mapping[str, Any], slices: Mapping[str, Slice], ks: Sequence[int]) -> None:
        """Write a result, whole or not at all, and remove what is unfinished. Raises `UserError` if that fails."""
        with atomic_folder(self.folder) as draft:
            for name, one in slices.items():
                pq.write_table(_table(one, ks), draft / _file(name), compression="zstd")
            whole = {"inputs": self.inputs, "slices": list(slices), **result}
            write_text(draft / _RESULT, _text({"sha256": _digest(whole), **whole}))
        self.remove_unfinished()


def _digest(result: Mapping[str, Any]) -> str:
    """SHA-256 of a result, so that one from which anything is missing is not taken for whole."""
    return hashlib.sha256(_text(result).encode()).hexdigest()


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def _table(one: Slice, ks: Sequence[int]) -> pa.Table:
    columns = {
        "customer": pa.array(one.customers.astype(np.int32)),
        "articles": _lists(one.lists),
        "hits": _lists(one.marks),
        "relevant": pa.array(one.sizes.astype(np.int32)),
    }
    return pa.table({**columns, **{name: pa.array(values) for name, values in one.values(ks).items()}})


def _lists(rows: NDArray[Any]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


def _file(name: str) -> str:
    return f"customers-{name}.parquet"
