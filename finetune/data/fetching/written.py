"""The folder of fetched photos: what was written there, of which table, so that nothing else is replaced."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metrics.common.errors import UserError
from metrics.common.files import make_folder, read_json_object, sha256, write_text
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.version import installed_version

MARK = "fetch-images.json"  # makes the folder ours
TABLE, FAILED, PHOTOS = "metadata.csv", "failed.csv", "images"
_CONTENTS = Contents({MARK: '"lookbook": '}, record=MARK)
_ELSEWHERE = "give another --out, or --overwrite replaces it"


def claim(out: Path, source: Path, overwrite: bool) -> None:
    """Make `out` ours.

    Raises:
        UserError: if it holds anything of somebody else's or, unless `overwrite`, a table that was changed since or has
            the rows of another `source`: one that has neither the path nor the bytes of the last.
    """
    refuse_foreign(out, _CONTENTS)
    mark = _mark(out)
    for path in (out / TABLE, out / FAILED):
        if not overwrite and path.exists() and sha256(path) not in _hashes(mark):
            raise UserError(f"{path}: was changed since fetch-images wrote it; move it elsewhere, or {_ELSEWHERE}")
    of = mark.get("source")
    if not overwrite and (out / TABLE).exists() and isinstance(of, dict) and not _is_same(of, source_of(source)):
        raise UserError(f"{out / TABLE}: has the rows of {of.get('path')}, not of {source}; {_ELSEWHERE}")
    make_folder(out / PHOTOS)
    _write_mark(out, mark)


def source_of(table: Path) -> dict[str, str]:
    """What the folder's record has of the table with the URLs."""
    return {"path": str(table.resolve()), "sha256": sha256(table)}


def write_tables(out: Path, tables: Mapping[str, pd.DataFrame], source: Mapping[str, str] | None = None) -> None:
    """Write tables; the mark first, so that an interruption leaves none that it does not know.

    `source` is that of the rows of metadata.csv, if it is among them.
    """
    texts = {name: table.to_csv(index=False, lineterminator="\n") for name, table in tables.items()}
    hashes = [hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest() for text in texts.values()]
    mark = _mark(out)
    _write_mark(out, mark | ({"source": source} if source else {}), hashes)
    for name, text in texts.items():
        write_text(out / name, text)


def _mark(out: Path) -> dict[str, Any]:
    path = out / MARK
    return read_json_object(path, "remove it with its folder") if path.exists() else {}


def _hashes(mark: Mapping[str, Any]) -> list[str]:
    """The hashes of all that was written here."""
    hashes = mark.get("written")
    return [one for one in hashes if isinstance(one, str)] if isinstance(hashes, list) else []


def _is_same(one: Mapping[str, Any], other: Mapping[str, str]) -> bool:
    return any(one.get(key) == value for key, value in other.items())


def _write_mark(out: Path, mark: Mapping[str, Any], hashes: Iterable[str] = ()) -> None:
    written = list(dict.fromkeys([*_hashes(mark), *hashes]))
    values = {**mark, "lookbook": installed_version(), "written": written}
    write_text(out / MARK, json.dumps(values, indent=1))
