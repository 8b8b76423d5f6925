"""The viewer's index, one SQLite file: items, captions, scores and the words of both, made once for each scoring."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import atomic_file, check_folder, make_folder, sha256
from metrics.common.screen import progress
from metrics.measures.statistics import Floats
from metrics.records.caption_sets import unique_names
from metrics.records.captions import to_json
from metrics.viewer.index import VERSION, Index, storable
from metrics.viewer.index_age import remove_unused
from metrics.viewer.score_folder import CaptionRow, ScoreFolder, read_score_folder
from metrics.viewer.source_table import source_rows, source_table

# `product` numbers the products in their order; only the first item of each has it. `per_item` are n little-endian
# doubles in the order of `place`, NaN where a measure leaves the item out: 100,000 of them are read in a millisecond.
_SCHEMA = """
CREATE TABLE about (content TEXT NOT NULL);
CREATE TABLE items (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, category TEXT, seen INTEGER, product INTEGER,
    record TEXT NOT NULL
);
CREATE TABLE captions (
    place INTEGER NOT NULL, system INTEGER NOT NULL, caption TEXT, logprob REAL, predicted TEXT, attributes TEXT,
    PRIMARY KEY (place, system)
) WITHOUT ROWID;
CREATE TABLE scores (
    measure TEXT NOT NULL, system INTEGER NOT NULL, per_item BLOB NOT NULL,
    PRIMARY KEY (measure, system)
);
CREATE TABLE source (place INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(
    id, captions, reference_texts, category, attributes, content='', tokenize='porter unicode61'
);
"""
_INDEXES = """
CREATE INDEX items_by_category ON items (category, seen);
CREATE INDEX items_by_product ON items (product) WHERE product IS NOT NULL;
"""
_PRAGMAS = ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF", "cache_size = -32768")


def open_index(folders: Sequence[Path], table: Path | None = None) -> Index:
    """Open the index of these folders of `score`; if there is none in the cache, make it, with progress on stderr.

    Systems of equal names get numbers. `table`: the catalogue's items.parquet; default: that of the run whose report
    one of the folders is. Other indexes that were not used for 30 days are removed.

    Raises:
        UserError: when a folder or a file is not as `score` writes it, folders have other items than the first, `table`
            has none of the items, or the index cannot be written.
    """
    scored = [read_score_folder(folder) for folder in folders]
    table = table or source_table(scored)
    names = " ".join([VERSION, *(folder.digest() for folder in scored), sha256(table) if table else ""])
    path = cache_folder("viewer", f"{hashlib.sha256(names.encode()).hexdigest()[:32]}.sqlite")
    index = _existing(path, folders) or _made(path, scored, table)
    remove_unused(path.parent)
    return index


def _made(path: Path, scored: Sequence[ScoreFolder], table: Path | None) -> Index:
    remedy = "name another cache folder by LOOKBOOK_CACHE"
    check_folder(path.parent, remedy)
    make_folder(path.parent)
    with atomic_file(path) as draft:
        try:
            _build(draft, scored, table)
        except sqlite3.Error as error:
            raise UserError(f"cannot write the viewer's index {path}: {error}; {remedy}") from error
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
    return Index(path, [folder.path for folder in scored])


def _existing(path: Path, folders: Sequence[Path]) -> Index | None:
    try:
        return Index(path, folders) if path.is_file() else None
    except (sqlite3.Error, ValueError, LookupError, TypeError):  # cut or overwritten: ours by its place, made again
        return None


def _build(path: Path, folders: Sequence[ScoreFolder], table: Path | None) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for pragma in _PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        database.executescript(_SCHEMA)
        database.execute("BEGIN")
        places = _add_items(database, folders[0])
        systems = 0
        for folder in folders:
            own = places if folder is folders[0] else _joined(database, folder, folders[0], places)
            _add_captions(database, folder, own, systems)
            systems += len(folder.systems)
        if table:
            _add_source(database, table, places)
        _add_words(database, len(places))
        database.execute("INSERT INTO about VALUES (?)", [_about(folders)])
        database.execute("COMMIT")
        database.executescript(_INDEXES)


def _about(folders: Sequence[ScoreFolder]) -> str:
    systems = [asdict(system) for folder in folders for system in folder.systems]
    for system, name in zip(systems, unique_names([system["name"] for system in systems]), strict=True):
        system["name"] = storable(name)
    maximum = {measure: value for folder in folders for measure, value in folder.maximum.items()}
    images = next((folder.images for folder in folders if folder.images), None)
    return json.dumps(
        {
            "title": folders[0].title,
            "systems": systems,
            "maximum": maximum,
            "images": str(images) if images else None,
        }
    )


def _add_items(database: sqlite3.Connection, folder: ScoreFolder) -> dict[str, int]:
    """Add the items; return the place of each id."""
    places: dict[str, int] = {}
    products: dict[str | int, int] = {}
    for place, item in enumerate(progress(folder.items(), "items", unit="item", delay=1)):
        product = item.product_id or place
        first = product not in products
        number = products.setdefault(product, len(products))
        places[item.id] = place
        database.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)",
            (place, storable(item.id), storable(item.category), item.seen, number if first else None, to_json(item)),
        )
    return places


def _joined(
    database: sqlite3.Connection, folder: ScoreFolder, first: ScoreFolder, places: dict[str, int]
) -> dict[str, int]:
    """Check that a further folder has the items of the first; return the place of each id, in its own order.

    An item is seen if any scoring says so, as when its systems are scored together.
    """
    own: dict[str, int] = {}
    for item in folder.items():
        if item.id not in places:
            raise _other_items(folder, first, f"id {item.id!r} is not in both")
        own[item.id] = place = places[item.id]
        [known] = database.execute("SELECT record FROM items WHERE place = ?", [place]).fetchone()
        if tuple(json.loads(known)["references"]) != item.references:
            raise _other_items(folder, first, f"id {item.id!r} has other references")
        if item.seen is not None:
            database.execute("UPDATE items SET seen = max(coalesce(seen, 0), ?) WHERE place = ?", [item.seen, place])
    if len(own) < len(places):
        missing = next(key for key in places if key not in own)
        raise _other_items(folder, first, f"id {missing!r} is not in both")
    return own


def _other_items(folder: ScoreFolder, first: ScoreFolder, problem: str) -> UserError:
    return UserError(
        f"{folder.items_file}: other items than those of {first.items_file}: {problem}; "
        "score the captions together, or on the same --references"
    )


def _add_captions(database: sqlite3.Connection, folder: ScoreFolder, places: dict[str, int], before: int) -> None:
    """Add a folder's captions and scores, whose first system has the number `before`."""
    ids, order = list(places), list(places.values())
    scores: dict[str, Floats] = {}
    total = len(ids) * len(folder.systems)
    for system, item, row in progress(folder.rows(ids), "captions", total=total, unit="row", delay=1):
        if item == 0:
            scores = {measure: np.full(len(ids), np.nan) for measure in folder.measures}
        for measure, value in row.scores.items():
            scores[measure][order[item]] = value
        database.execute("INSERT INTO captions VALUES (?, ?, ?, ?, ?, ?)", (order[item], before + system, *_cells(row)))
        if item == len(ids) - 1:
            columns = (
                (storable(measure), before + system, values.astype("<f8").tobytes())
                for measure, values in scores.items()
            )
            database.executemany("INSERT INTO scores VALUES (?, ?, ?)", columns)


def _cells(row: CaptionRow) -> tuple[Any, ...]:
    attributes = json.dumps(row.attributes) if row.attributes is not None else None
    return storable(row.caption), row.logprob, storable(row.predicted), attributes


def _add_source(database: sqlite3.Connection, table: Path, places: dict[str, int]) -> None:
    """Add the rows that the catalogue's own table has of the items."""
    rows = progress(source_rows(table), "table", unit="row", delay=1)
    found = ((places[key], json.dumps(cells)) for key, cells in rows if key in places)
    if not database.executemany("INSERT OR IGNORE INTO source VALUES (?, ?)", found).rowcount:
        raise UserError(f"{table}: has none of the items that were scored; name the catalogue that they come from")


def _add_words(database: sqlite3.Connection, items: int) -> None:
    """Fill the full-text search from the items and their captions."""
    found = database.execute(
        "SELECT place, record, (SELECT group_concat(caption, char(10)) FROM captions WHERE place = items.place) "
        "FROM items"
    )
    bar = progress(found, "words", total=items, unit="item", delay=1)
    database.executemany(
        "INSERT INTO words(rowid, id, captions, reference_texts, category, attributes) VALUES (?, ?, ?, ?, ?, ?)",
        _words(bar),
    )


def _words(found: Iterable[tuple[int, str, str | None]]) -> Iterator[tuple[Any, ...]]:
    for place, record, captions in found:
        item = json.loads(record)
        texts = (item["id"], "\n".join(item["references"]), item["category"], "\n".join(item["attributes"].values()))
        key, references, category, attributes = map(storable, texts)
        yield place, key, captions, references, category, attributes
