"""People's ratings and notes of captions, in a SQLite file of their own, which several viewers may share."""

import hashlib
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
_VERSION = 2  # of the schema; 1 has no caption_sha256
_PATIENCE = 30.0  # seconds that a write waits for others

_TABLE = """
CREATE TABLE ratings (
  item TEXT NOT NULL, system TEXT NOT NULL, rater TEXT NOT NULL, rating INTEGER CHECK (rating BETWEEN 1 AND 5),
  note TEXT NOT NULL, blind INTEGER NOT NULL, time TEXT NOT NULL, caption_sha256 TEXT
)
"""
_ONE_A_CAPTION = """
CREATE UNIQUE INDEX one_a_caption ON ratings (item, rater, blind, system, ifnull(caption_sha256, ''))
"""
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
{_TABLE};
{_ONE_A_CAPTION};
PRAGMA journal_mode = WAL;
"""
_MIGRATION = (
    "ALTER TABLE ratings RENAME TO earlier",
    _TABLE,
    _ONE_A_CAPTION,
    "INSERT INTO ratings SELECT *, NULL FROM earlier",
    "DROP TABLE earlier",
    f"PRAGMA user_version = {_VERSION}",
)
_ADOPT = """
UPDATE OR IGNORE ratings SET caption_sha256 = ?
WHERE item = ? AND system = ? AND rater = ? AND blind = ? AND caption_sha256 IS NULL
"""
_SAVE = """
INSERT INTO ratings (item, system, rater, rating, note, blind, time, caption_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET rating = excluded.rating, note = excluded.note, time = excluded.time
WHERE rating IS NOT excluded.rating OR note <> excluded.note
"""
_REMOVE = "DELETE FROM ratings WHERE item = ? AND system = ? AND rater = ? AND blind = ? AND caption_sha256 IS ?"
_BY_RATER = "SELECT * FROM ratings WHERE rater = ? AND blind = ? ORDER BY item, system, time"
_OF_ITEM = "SELECT * FROM ratings WHERE item = ? ORDER BY rater, blind, system, time"
_ALL = "SELECT * FROM ratings ORDER BY item, rater, blind, system, time"


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
        caption_sha256: `caption_digest` of the rated caption; None in ratings that an earlier version saved.
    """

    item: str
    system: str
    rater: str
    rating: int | None
    note: str
    blind: bool
    time: str
    caption_sha256: str | None = None


def caption_digest(caption: str | None) -> str:
    """Return the first 16 hex digits of SHA-256 of a caption in UTF-8; no caption is as an empty one."""
    return hashlib.sha256((caption or "").encode("utf-8", "backslashreplace")).hexdigest()[:16]


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
        """Save ratings, all or none, each in the place of the same rater's earlier one; an empty one removes that.

        The earlier one is of the same caption, or of a caption that is not known. A file of the earlier version becomes
        one of this version.
        """
        if not self.path.exists():
            _create(self.path)
        with self._connection() as connection:
            _migrate(connection)
            for one in ratings:
                _save(connection, one)

    def by_rater(self, rater: str, blind: bool) -> list[Rating]:
        """Return all that a rater has said, blind or not."""
        return self._ratings(_BY_RATER, rater, blind)

    def of_item(self, item: str) -> list[Rating]:
        """Return what anybody has said of an item."""
        return self._ratings(_OF_ITEM, item)

    def all(self) -> list[Rating]:
        """Return all ratings and notes, sorted by item, rater, blind, system and time."""
        return self._ratings(_ALL)

    def _ratings(self, statement: str, *values: str | bool) -> list[Rating]:
        return [_rating(row, self.path) for row in self._select(statement, *values)]

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


def _rating(row: tuple[Any, ...], path: Path) -> Rating:
    """One row of the table, which in version 1 has no digest; SQLite itself keeps anything in any column."""
    item, system, rater, rating, note, blind, time, digest = row if len(row) == 8 else (*row, None)
    texts = (item, system, rater, note, time, "" if digest is None else digest)
    if not all(isinstance(text, str) for text in texts) or rating not in (None, *RATINGS):
        raise UserError(f"{path}: expected ratings, found damage in one of item {item!r:.60}; restore it from a copy")
    return Rating(item, system, rater, rating, note, bool(blind), time, digest)


def _migrate(connection: sqlite3.Connection) -> None:
    """Begin a transaction for writing, in which a file of version 1 becomes one of this version."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
        for statement in _MIGRATION:
            connection.execute(statement)


def _save(connection: sqlite3.Connection, one: Rating) -> None:
    key = (one.item, one.system, one.rater, one.blind)
    if one.caption_sha256:
        connection.execute(_ADOPT, (one.caption_sha256, *key))
    if one.rating is None and not one.note:
        connection.execute(_REMOVE, (*key, one.caption_sha256))
    else:
        connection.execute(_SAVE, astuple(one))


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
        if application == _APPLICATION and 1 <= version <= _VERSION:
            return
        found = f"one of version {version}" if application == _APPLICATION else "another program's file"
    expected = f"expected ratings that `lookbook view` has saved, of version 1 to {_VERSION}"
    raise UserError(f"{path}: {expected}, found {found}; name another file")


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last, of a damaged text or message
        remedy = "free the file or its folder for writing, or give another --ratings"
        raise UserError(f"{path}: cannot read or write ratings ({error}); {remedy}") from error
