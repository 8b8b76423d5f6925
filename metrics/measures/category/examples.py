"""The examples a category classifier learns from: every reference of every record, with the record's category."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.records.captions import CaptionRecord, read_references

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Example:
    """One reference: the caption, its record's category, and whether the caption is in the training split."""

    caption: str
    category: str
    seen: bool | None = None


@dataclass(frozen=True)
class Examples:
    """The examples of one file of records; what is left out is recorded.

    Attributes:
        path: the file.
        rows: one example for each reference of each record, in the file's order.
        left_out: why records give no example (`no category`) to their ids.
    """

    path: Path
    rows: tuple[Example, ...]
    left_out: Mapping[str, tuple[str, ...]]

    @cached_property
    def counts(self) -> Counter[tuple[str, str]]:
        """The count of each pair of caption and category, in order of first appearance."""
        return Counter((row.caption, row.category) for row in self.rows)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The distinct categories, sorted."""
        return tuple(sorted({row.category for row in self.rows}))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the rows."""
        rows = [[row.caption, row.category, row.seen] for row in self.rows]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def account(self) -> dict[str, Any]:
        """The description of the file in `classifier.json`."""
        return {
            "file": str(self.path),
            "examples": len(self.rows),
            "distinct": len(self.counts),
            "categories": len(self.categories),
            "left_out": {why: list(ids) for why, ids in self.left_out.items()},
            "sha256": self.digest,
        }


def read_examples(path: Path) -> Examples:
    """Read the examples of a file such as `references-train.jsonl`.

    Raises:
        UserError: as `read_references`, and when no record has a category and a reference.
    """
    records = read_references(path)
    left_out: dict[str, list[str]] = {}
    for record in records:
        for why in _problems(record):
            left_out.setdefault(why, []).append(record.id)
    rows = tuple(
        Example(caption, record.category, record.seen)
        for record in records
        if record.category
        for caption in record.references
        if caption.strip()
    )
    if not rows:
        reasons = "; ".join(f"{len(ids):,} with {why}" for why, ids in left_out.items())
        raise UserError(
            f'{path}: none of its {len(records):,} records has both a "category" and a reference ({reasons}); give a '
            "references file of a catalogue that has categories"
        )
    return Examples(path, rows, {why: tuple(ids) for why, ids in left_out.items()})


def named(values: Sequence[str]) -> str:
    """List the first few values and the number of the others."""
    more = f" and {len(values) - _NAMED:,} more" if len(values) > _NAMED else ""
    return ", ".join(map(repr, values[:_NAMED])) + more


def _problems(record: CaptionRecord) -> list[str]:
    problems = {
        "no category": not record.category,
        "no reference": not record.references,
        "an empty reference": any(not caption.strip() for caption in record.references),
    }
    return [why for why, holds in problems.items() if holds]
