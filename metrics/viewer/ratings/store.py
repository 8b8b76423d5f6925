"""People's ratings and notes of captions, in a SQLite file of their own, which several viewers may share."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import atomic_file, check_folder
from metrics.common.locks import alone

RATINGS = range(1, 6)
LONGEST_NOTE, LONGEST_RATER = 2_000, 60  # characters

_APPLICATION = int.from_bytes(b"LkRt")  # what tells SQLite's files apart
_VERSION = 1  # of the schema
_PATIENCE = 30.0  # seconds that a write waits for others

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE ratings (
  item TEXT NOT NULL, system TEXT NOT NULL, rater TEXT NOT NULL, rating INTEGER CHECK (rating BETWEEN 1 AND 5),
  note TEXT NOT NULL, blind INTEGER NOT NULL, time TEXT NOT NULL,
  PRIMARY KEY (item, rater, blind, system)
) WITHOUT ROWID;
PRAGMA journal_mode = WAL;
"""
_SAVE = """
INSERT INTO ratings (item, system, rater, rating, note, blind, time) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET rating = excluded.rating, note = excluded.note, time = excluded.time
WHERE rating IS NOT excluded.rating OR note <> excluded.note
"""
_REMOVE = "DELETE FROM ratings WHERE item = ? AND system = ? AND rater = ? AND blind = ?"
_BY_RATER = "SELECT * FROM ratings WHERE item = ? AND rater = ? AND blind = ?"
_OF_ITEM = "SELECT * FROM ratings WHERE item = ? ORDER BY rater, blind, system"
_RATED = "SELECT DISTINCT item FROM ratings WHERE rater = ? AND blind = ? AND rating IS NOT NULL"
_ALL = "SELECT * FROM ratings ORDER BY item, rater, blind, system"


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater says of one system's caption of one item; said blind and said knowing the system are two.

    Attributes:
        item: the item's id.
        system: the system's name.
        rater: the rater's name.
        rating: 1 (bad) to 5 (good); None for a note without one.
        note: free text.
        blind: whether the rater did not see which system it was.
        time: when it was last changed, UTC, ISO 8601.
    """

    item: str
    system: str
    rater: str
    rating: int | None
    note: str
    blind: bool
    time: str


class RatingStore:
    """The ratings in one file, made at the first that is saved; each call is a short connection of its own.

    Every member raises `UserError` when the file is not one of ratings, is damaged, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raise `UserError` if the file is not one of ratings, or could not be written."""
        if self.path.exists():
            with self._connection():
                pass
            if not os.access(self.path, os.W_OK):
                raise UserError(f"{self.path}: cannot be written to; give another --ratings")
        check_folder(self.path.parent, "give another --ratings")

    def save(self, ratings: Iterable[Rating]) -> None:
        """Save ratings, all or none, each in the place of the same rater's earlier one; an empty one removes that."""
        if not self.path.exists():
            _create(self.path)
        with self._connection() as connection:
            for one in ratings:
                if one.rating is None and not one.note:
                    connection.execute(_REMOVE, (one.item, one.system, one.rater, one.blind))
                else:
                    connection.execute(_SAVE, astuple(one))

    def by_rater(self, item: str, rater: str, blind: bool) -> dict[str, Rating]:
        """Return what a rater has said of an item, blind or not, by system."""
        return {one.system: one for one in self._ratings(_BY_RATER, item, rater, blind)}

    def of_item(self, item: str) -> list[Rating]:
        """Return what anybody has said of an item."""
        return self._ratings(_OF_ITEM, item)

    def rated(self, rater: str, blind: bool) -> set[str]:
        """Return the ids of the items of which a rater has rated a caption, blind or not."""
        return {item for (item,) in self._select(_RATED, rater, blind)}

    def all(self) -> list[Rating]:
        """Return all ratings and notes, sorted by item, rater, blind and system."""
        return self._ratings(_ALL)

    def _ratings(self, statement: str, *values: str | bool) -> list[Rating]:
        return [
            Rating(item, system, rater, rating, note, bool(blind), time)
            for item, system, rater, rating, note, blind, time in self._select(statement, *values)
        ]

    def _select(self, statement: str, *values: str | bool) -> list[tuple[Any, ...]]:
        if not self.path.exists():
            return []
        with self._connection() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection within a transaction."""
        uri = f"{self.path.absolute().as_uri()}?mode=rw"  # never makes a file
        with _failures(self.path), closing(_connect(uri, uri=True)) as connection, connection:
            _check_ours(connection, self.path)
            yield connection


def now() -> str:
    """Return the time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _connect(database: str | Path, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=_PATIENCE, isolation_level="IMMEDIATE", uri=uri)


def _create(path: Path) -> None:
    """Make an empty file of ratings, unless another process is faster; it appears whole."""
    check_folder(path.parent, "give another --ratings")
    with _failures(path), alone(path, f"{path}: waiting for another process that makes it"):
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as draft, closing(_connect(draft)) as connection:
            connection.executescript(_SCHEMA)


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `UserError` if a file is not one of ratings.

    SQLite is asked, since reading the file by other means would drop the locks that this process has on it: closing
    any handle of a file ends all POSIX locks of its process (sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        [[application]] = connection.execute("PRAGMA application_id")
        [[version]] = connection.execute("PRAGMA user_version")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        found = "no SQLite file"
    else:
        if (application, version) == (_APPLICATION, _VERSION):
            return
        found = f"one of version {version}" if application == _APPLICATION else "another program's file"
    expected = f"expected ratings that `lookbook view` has saved, version {_VERSION}"
    raise UserError(f"{path}: {expected}, found {found}; name another file")


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        remedy = "free the file or its folder for writing, or give another --ratings"
        raise UserError(f"{path}: cannot read or write ratings ({error}); {remedy}") from error
