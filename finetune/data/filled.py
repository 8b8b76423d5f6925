"""What a model filled in of a table: a record beside it, so that its words never become training text or references."""

import json
from collections.abc import Collection, Mapping, Sequence
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
        earlier: the fillings of the source before this one, whose texts the table still has (`fillings`).
    """

    written: str
    system: Mapping[str, Any]
    rules: Mapping[str, Any]
    filled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    withheld: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    table: str | None = None
    sha256: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    earlier: Sequence[Mapping[str, Any]] = ()

    def write(self, path: Path) -> None:
        """Write the record; raises `UserError` if it cannot be written."""
        write_text(path, one_line(json.dumps(asdict(self), ensure_ascii=False, indent=1)) + "\n")


def record_of(table: Path) -> Path:
    """Where the record of a filled table lies: beside it."""
    return table.with_name(table.name + SUFFIX)


def fillings(table: Path, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """When and by which system a table was filled, and its `filled` items, the last filling first.

    Args:
        table: the table; it has no fillings if it was not filled by us.
        without: ids to leave out, since they are filled again.

    Raises:
        UserError: if the record beside it is damaged: without it nobody knows which words are a model's.
    """
    path = record_of(table)
    if not path.exists():
        return []
    record = read_json_object(path, "restore it from a copy: it tells which descriptions a model wrote")
    try:
        found = [_filling(one, without) for one in (record, *record.get("earlier", ()))]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f'{path}: expected "filled": ids with the "text" of each, found something else; restore it from a copy'
        ) from error
    return [one for one in found if one["filled"]]


def _filling(record: Mapping[str, Any], without: Collection[str]) -> dict[str, Any]:
    entries = {key: {**entry, "text": str(entry["text"])} for key, entry in record["filled"].items()}
    filled = {key: entry for key, entry in entries.items() if key not in without}
    return {"written": record.get("written"), "system": record.get("system"), "filled": filled}


def filled_texts(table: Path) -> dict[str, str]:
    """Item id to the text that was filled in there; raises `UserError` as `fillings`."""
    return {key: entry["text"] for one in fillings(table) for key, entry in one["filled"].items()}


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
