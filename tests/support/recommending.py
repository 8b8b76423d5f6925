"""Commands of `recommend` on small stores, and the tables beside these."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from typer.testing import CliRunner, Result

CLASSES = 4


def items_table(path: Path, ids: Sequence[str], products: Sequence[str], **columns: Sequence[str]) -> Path:
    """Write an items.parquet; columns are those of the source."""
    source = {f"source.{name}": list(values) for name, values in columns.items()}
    pd.DataFrame({"id": list(ids), "product_id": list(products), **source}).to_parquet(path)
    return path


def clustered(count: int, dimensions: int = 8, seed: int = 0) -> tuple[list[str], Any, list[str]]:
    """Ids, vectors in `CLASSES` groups far from each other, and the group of each."""
    draw = np.random.default_rng(seed)
    groups = np.arange(count) % CLASSES
    centres = 5 * np.eye(CLASSES, dimensions)
    return (
        [f"i{place:03d}" for place in range(count)],
        centres[groups] + draw.normal(0, 0.3, (count, dimensions)),
        [f"g{group}" for group in groups],
    )


def recommend(*arguments: Any) -> Result:
    """Run `python -m recommend ARGUMENTS` in this process."""
    from recommend.__main__ import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: Any) -> str:
    """Run a command that must succeed; what it printed."""
    result = recommend(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused_by(*arguments: Any) -> str:
    """Run a command that must end with one message and exit code 2; the message."""
    result = recommend(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    return result.stderr.removeprefix("error: ").strip()
