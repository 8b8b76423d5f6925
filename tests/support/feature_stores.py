"""Feature stores for tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.data.feature_files import About
from finetune.data.feature_writer import FeatureWriter


def write_store(path: Path, ids: Sequence[str], rows: Any, about: About | None = None, dtype: str = "float16") -> Path:
    """A store with these rows (n, *shape)."""
    values = np.asarray(rows, dtype=np.float32)
    with FeatureWriter(path, about or About("some", "photo"), values.shape[1:], dtype) as writer:  # type: ignore[arg-type]
        writer.append(ids, values)
        writer.finish()
    return path
