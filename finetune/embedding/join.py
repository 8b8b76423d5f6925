"""Stores that `embed --shard` wrote, put together: every id once, none missing."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.data.feature_cache import FeatureStore
from finetune.data.feature_writer import FeatureWriter
from finetune.embedding.texts import TEXTS, read_texts, write_texts
from finetune.models.encoders.base import LEARNT
from metrics.common.errors import UserError

_STEP = 4096  # rows


def join_shards(paths: Sequence[Path], out: Path) -> FeatureStore:
    """Write the store `out` of all rows of the stores at `paths`.

    Raises `UserError` if they are of different features, if an id is in two of them, or if items are missing.
    """
    parts = [FeatureStore.open(path) for path in paths]
    check_parts(parts)
    first = parts[0]
    with FeatureWriter(out, first.about, first.shape, first.dtype) as writer:
        for part in parts:
            copy_rows(part, writer)
        texts = {key: text for part in parts for key, text in read_texts(part.path).items()}
        if texts:
            write_texts(writer.draft / TEXTS, texts)
        if (first.path / LEARNT).is_file():  # in all parts the same, since their weights are
            shutil.copyfile(first.path / LEARNT, writer.draft / LEARNT)
        writer.finish()
    return FeatureStore.open(out)


def check_parts(parts: Sequence[FeatureStore]) -> None:
    """Raise `UserError` unless the parts are of the same features, have no id in common and miss none."""
    owner: dict[str, Path] = {}
    first = parts[0]
    for part in parts:
        first.about.refuse_other(part.about, str(part.path), "join parts of one embedding only")
        if (part.shape, part.dtype) != (first.shape, first.dtype):
            raise UserError(
                f"{part.path}: expected rows of {first.shape} {first.dtype} as in {first.path}, found {part.shape} "
                f"{part.dtype}; embed all shards with the same options"
            )
        for key in part.ids:
            if key in owner:
                raise UserError(f"{part.path}: the id {key} is in {owner[key]} too; give each --shard i/n once")
            owner[key] = part.path
    items = first.about.items
    if items is not None and len(owner) != items:
        raise UserError(
            f"the parts have {len(owner):,} of the {items:,} items of the catalogue; name the parts of all shards"
        )


def copy_rows(part: FeatureStore, writer: FeatureWriter) -> None:
    """Append a part's rows that the writer does not have yet."""
    known = set(writer.ids)
    places = np.array([place for place, key in enumerate(part.ids) if key not in known], dtype=np.int64)
    for start in range(0, len(places), _STEP):
        some = places[start : start + _STEP]
        writer.append([part.ids[place] for place in some], part.rows(some))
