"""The rows of a catalogue's own table, from the `items.parquet` that `lookbook prepare` and `run` write."""

from collections.abc import Iterator
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.version import DISTRIBUTION
from metrics.viewer.score_folder import ScoreFolder

FILE = "items.parquet"
_ROLE, _SOURCE = "role", "source."  # what became of an item, and the columns of the catalogue's own table
_BATCH = 1_000


def source_table(folders: list[ScoreFolder]) -> Path | None:
    """The table of the run whose report one of the folders is, None if none is."""
    runs = (folder.path.absolute().parent for folder in folders)
    return next((run / FILE for run in runs if (run / FILE).is_file() and (run / "recipe.json").is_file()), None)


def source_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield id and row of each item, a cell by the name of its column; empty cells are left out.

    Raises:
        UserError: when the file cannot be read, or is not as `prepare` writes it.
    """
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415
    except ImportError as error:
        raise UserError(f"{path}: pyarrow is not installed, run: pip install '{DISTRIBUTION}[view]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name.startswith(_SOURCE)]
            for batch in file.iter_batches(_BATCH, columns=["id", _ROLE, *names]):
                for row in batch.to_pylist():
                    given = {"Role": row[_ROLE]} | {name.removeprefix(_SOURCE): row[name] for name in names}
                    yield str(row["id"]), {name: str(cell) for name, cell in given.items() if cell not in (None, "")}
    except (ArrowException, OSError, LookupError, ValueError, OverflowError) as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path}: cannot be read: {problem:.200}; write it again with `lookbook prepare`") from error
