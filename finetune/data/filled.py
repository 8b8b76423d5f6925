"""What a model filled in of a table: a record beside it, so that its words never become training text or references."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from metrics.common.errors import UserError
from metrics.common.files import one_line, read_json_object, write_text

FILLED_BY_MODEL = "description filled by a model"
SUFFIX = ".filled.json"


@dataclass(frozen=True)
class Filled:
    """What was written into a table, or withheld.

    Attributes:
        table: the table's name and its SHA-256 as it was written; None where there is no table.
        source: the table that it was made from, and its SHA-256.
        system: what wrote the captions: model, adapter, versions.
        rules: what was asked for.
        written: when, ISO 8601, UTC.
        filled: item id to its new description (`text`) and its `confidence` (0..1).
        withheld: the same with the `reason`.
    """

    written: str
    system: Mapping[str, Any]
    rules: Mapping[str, Any]
    filled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    withheld: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    table: str | None = None
    sha256: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the record; raises `UserError` if it cannot be written."""
        write_text(path, one_line(json.dumps(asdict(self), ensure_ascii=False, indent=1)) + "\n")


def record_of(table: Path) -> Path:
    """Where the record of a filled table lies: beside it."""
    return table.with_name(table.name + SUFFIX)


def filled_texts(table: Path) -> dict[str, str]:
    """Item id to the text that was filled in there; nothing if the table was not filled by us.

    Raises `UserError` if the record beside it is damaged: without it nobody knows which words are a model's.
    """
    path = record_of(table)
    if not path.exists():
        return {}
    filled = read_json_object(path, "restore it from a copy: it tells which descriptions a model wrote").get("filled")
    try:
        return {str(key): str(one["text"]) for key, one in filled.items()}  # type: ignore[union-attr]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f'{path}: expected "filled": ids with the "text" of each, found something else; restore it from a copy'
        ) from error


def clear_filled(rows: pd.DataFrame, table: Path) -> dict[str, list[str]]:
    """Empty the captions of `rows` that are still a model's words; their ids, under the rule that names them.

    A text that somebody has changed since is theirs, and stays. Raises `UserError` as `filled_texts`.
    """
    texts = filled_texts(table)
    places = [key in texts and texts[key] == caption for key, caption in zip(rows["id"], rows["caption"], strict=True)]
    if not any(places):
        return {}
    rows.loc[places, "caption"] = ""
    return {FILLED_BY_MODEL: rows.loc[places, "id"].tolist()}
