"""Finished models on disk: what went in, the lists, every customer's values, the estimates.

Each has a folder `rows/NAME-HASH`, where the hash is of what went in, so that a changed recipe leaves the results of the
earlier one alone, and a result is never taken for another's.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from metrics.common.errors import UserError
from metrics.common.files import atomic_folder, read_json_object, write_text
from recommend.ranking.hits import Lists

_RESULT, _CUSTOMERS = "result.json", "customers.parquet"
_FORMAT = 1


@dataclass(frozen=True)
class Place:
    """Where the result of one model on one data set lies, and what went into it."""

    folder: Path
    inputs: Mapping[str, Any]

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

    def is_finished(self) -> bool:
        """Whether there is a whole result of these inputs. Raises `UserError` if something else is there."""
        if not self.folder.exists():
            return False
        if self.read()["inputs"] != json.loads(json.dumps(self.inputs)):
            raise UserError(f"{self.folder}: expected the result of this recipe, found another; move it away")
        return True

    def read(self) -> dict[str, Any]:
        """What `write` was given, but for lists and values. Raises `UserError` if it is damaged."""
        remedy = "remove this folder, and the model is fitted again"
        result = read_json_object(self.folder / _RESULT, remedy)
        if "inputs" not in result or "estimates" not in result:
            raise UserError(f"{self.folder / _RESULT}: expected inputs and estimates, found neither; {remedy}")
        return result

    def lists(self) -> Lists:
        """The articles of each measured customer, (m, k). Raises `UserError` if the file is damaged."""
        path = self.folder / _CUSTOMERS
        try:
            column = pq.read_table(path, columns=["articles"])["articles"].combine_chunks()
            return np.asarray(column.flatten().to_numpy().reshape(len(column), -1), dtype=np.int32)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise UserError(f"{path}: cannot read it ({error}); remove {self.folder}, and fit again") from error

    def write(
        self,
        result: Mapping[str, Any],
        customers: NDArray[np.int64],
        lists: Lists,
        values: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Write the result of m customers, whole or not at all. Raises `UserError` if it cannot be written."""
        columns = {name: pa.array(column) for name, column in values.items()}
        articles = pa.FixedSizeListArray.from_arrays(pa.array(lists.ravel()), lists.shape[1])
        table = pa.table({"customer": pa.array(customers.astype(np.int32)), "articles": articles, **columns})
        with atomic_folder(self.folder) as draft:
            pq.write_table(table, draft / _CUSTOMERS, compression="zstd")
            write_text(draft / _RESULT, json.dumps({"inputs": self.inputs, **result}, indent=1, allow_nan=False) + "\n")
