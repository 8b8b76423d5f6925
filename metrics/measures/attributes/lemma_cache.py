"""The lemmas of captions parsed before, on disk: one SQLite file for each set of models."""

import json
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from metrics.common.errors import UserError

_WAIT_SECONDS = 60.0
_TABLE = """CREATE TABLE IF NOT EXISTS lemmas
    (caption TEXT PRIMARY KEY, kept TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID"""


class LemmaCache:
    """Caption to lemmas; several processes may use one file at once.

    A file that SQLite calls damaged is removed and begun again, a damaged row counts as missing. Every method raises
    `UserError` when the file cannot be used (folder read-only, disk full, locked for long, too many open files).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connected() as connection:
            whole = _is_whole(connection)
        if not whole:
            print(f"note: {path}: these lemmas are damaged; they are made again", file=sys.stderr)
            for damaged in (path, Path(f"{path}-journal")):
                damaged.unlink(missing_ok=True)

    def find(self, captions: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the lemmas of those captions that are in the cache."""
        wanted = set(captions)
        with self._connected() as connection:
            connection.execute(_TABLE)
            return {
                caption: tuple(json.loads(lemmas))
                for caption, lemmas, checksum in connection.execute("SELECT caption, kept, checksum FROM lemmas")
                if caption in wanted and checksum == _checksum(caption, lemmas)
            }

    def add(self, lemmas: Mapping[str, Sequence[str]]) -> None:
        """Add the lemmas, all or none."""
        rows = [(caption, text := json.dumps(words), _checksum(caption, text)) for caption, words in lemmas.items()]
        with self._connected() as connection, connection:
            connection.execute(_TABLE)
            connection.executemany("INSERT OR REPLACE INTO lemmas VALUES (?, ?, ?)", rows)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS)) as connection:
                connection.text_factory = lambda text: text.decode("utf-8", "replace")
                yield connection
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            remedy = "remove it" if _says_damaged(error) else "make room and allow writing there"
            raise UserError(
                f"{self.path}: cannot keep lemmas there ({error}); {remedy}, or set LOOKBOOK_CACHE to another folder"
            ) from error


def _is_whole(connection: sqlite3.Connection) -> bool:
    try:
        return connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if _says_damaged(error):
            return False
        raise


def _says_damaged(error: Exception) -> bool:
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # without what extends the primary code
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _checksum(caption: str, lemmas: str) -> int:
    return zlib.crc32(f"{caption}\0{lemmas}".encode())
