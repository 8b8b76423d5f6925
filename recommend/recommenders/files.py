"""What a recommender saves: settings in JSON, arrays in one npz without pickles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from metrics.common.errors import UserError
from metrics.common.files import read_json_object

Arrays = dict[str, NDArray[Any]]
_REMEDY = "give a folder that a recommender was saved to"


def read_settings(folder: Path, name: str | None = None) -> dict[str, Any]:
    """The settings of the recommender saved in a folder; with no `name` its own, under `recommender`, is among them.

    Raises `UserError` if there is none, or if it is not called `name`.
    """
    settings = read_json_object(folder / "recommender.json", _REMEDY)
    if name is None:
        return settings
    found = settings.pop("recommender", None)
    if found != name:
        raise UserError(f"{folder}: expected a saved {name}, found {found}; {_REMEDY}")
    return settings


def matrix_arrays(name: str, matrix: scipy.sparse.csr_matrix) -> Arrays:
    """A sparse matrix as arrays that begin with `name`."""
    parts = {"starts": matrix.indptr, "columns": matrix.indices, "values": matrix.data, "shape": matrix.shape}
    return {f"{name}.{part}": np.asarray(values) for part, values in parts.items()}


def matrix_from(name: str, arrays: Mapping[str, NDArray[Any]]) -> scipy.sparse.csr_matrix:
    """The matrix that `matrix_arrays` took apart. Raises `KeyError` or `ValueError` if it is none."""
    parts = [arrays[f"{name}.{part}"] for part in ("values", "columns", "starts")]
    rows, columns = (int(number) for number in arrays[f"{name}.shape"])
    matrix = scipy.sparse.csr_matrix(tuple(parts), shape=(rows, columns))
    matrix.check_format(full_check=True)
    return matrix
