"""METEOR's paraphrase table, reduced to the words of the data, so that Java need not load all 5.27 million entries.

An entry is three lines: probability, phrase, paraphrase. METEOR compares phrase and paraphrase word for word with the
normalised texts (ParaphraseTransducer maps each word to a number, unknown ones to -1, which no entry has), and entries
do not influence each other but by their order. So an entry with a word that no text has can never match, and leaving it
out changes nothing as long as the order of the others stays.
"""

import gzip
import hashlib
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from pathlib import Path

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer, read_bytes
from metrics.common.parallel import ended_with_block, how_it_ended, start_python

_CHUNK = 1 << 24
_KEPT = 20
_REFUSED = 2


def cut_table(full: Path, words: Set[str]) -> Path:
    """Return the entries of the gzipped table `full` all of whose words are among `words`, gzipped, from the cache.

    A cached table has the digest of its content in its name; one that differs from it is made again.

    Raises:
        UserError: when the table cannot be read, or the cut one cannot be written.
    """
    known = sorted(words)
    folder = cache_folder("meteor")
    key = hashlib.sha256("\n".join([_fingerprint(full), *known]).encode()).hexdigest()[:32]
    for cached in folder.glob(f"paraphrases-{key}-*.gz"):
        if cached.stem.endswith(_digest(read_bytes(cached))):
            return cached
        print(f"note: {cached}: is damaged; it is made again", file=sys.stderr)
    table = gzip.compress(_cut(full, known), compresslevel=1, mtime=0)
    path = folder / f"paraphrases-{key}-{_digest(table)}.gz"
    _write(path, table)
    _forget_old(folder)
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _cut(full: Path, words: Sequence[str]) -> bytes:
    """Return the entries, by another Python process: this one has other measures to compute."""
    process = start_python(__name__, str(full), subprocess.PIPE)
    with process, ended_with_block(process):
        entries, errors = process.communicate("\n".join(words).encode("utf-8", "replace"))
    if process.returncode == _REFUSED:
        raise UserError(errors.decode("utf-8", "replace").strip())
    if process.returncode:
        message = errors.decode("utf-8", "replace").strip()
        raise UserError(f"cutting METEOR's paraphrases {how_it_ended(process.returncode)}: {message}")
    return entries


def _fingerprint(full: Path) -> str:
    """Return checksum and size of a gzip file's content, which are its last 8 bytes."""
    try:
        with full.open("rb") as handle:
            handle.seek(-8, 2)
            return handle.read().hex()
    except OSError as error:
        raise UserError(
            f"cannot read {full}: {error.strerror}; `pip install --force-reinstall pycocoevalcap`"
        ) from error


class _Known(dict[bytes, bool]):
    """Phrase to whether all its words are known; most phrases come many times."""

    def __init__(self, words: frozenset[bytes]) -> None:
        self._words = words

    def __missing__(self, phrase: bytes) -> bool:
        self[phrase] = known = self._words.issuperset(phrase.split())
        return known


def _entries(full: Path, words: frozenset[bytes]) -> Iterator[bytes]:
    known = _Known(words)
    for lines in _blocks(full):
        for place, (phrase, paraphrase) in enumerate(zip(lines[1::3], lines[2::3], strict=True)):
            if known[phrase] and known[paraphrase]:
                yield b"%b\n%b\n%b\n" % (lines[3 * place], phrase, paraphrase)


def _blocks(full: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a number of complete entries at a time."""
    rest: list[bytes] = []
    part = b""
    try:
        with gzip.open(full) as handle:
            while chunk := handle.read(_CHUNK):
                *lines, part = (part + chunk).split(b"\n")
                lines = rest + lines
                whole = len(lines) - len(lines) % 3
                rest = lines[whole:]
                yield lines[:whole]
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(full, error) from error
    if rest or part:
        raise _unreadable(full, "it ends in the middle of an entry")


def _unreadable(full: Path, why: object) -> UserError:
    return UserError(f"cannot read {full}: {why}; `pip install --force-reinstall pycocoevalcap` brings it back")


def _write(path: Path, table: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {path.parent}: {error.strerror}; set LOOKBOOK_CACHE to another folder") from error
    with atomic_writer(path) as handle:
        handle.buffer.write(table)


def _forget_old(folder: Path) -> None:
    """Keep the newest `_KEPT` tables; every set of captions has its own words."""
    with suppress(FileNotFoundError):  # another process has removed one meanwhile
        tables = sorted(folder.glob("paraphrases-*.gz"), key=lambda path: path.stat().st_mtime_ns)
        for path in tables[:-_KEPT]:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        sys.stdout.buffer.writelines(_entries(Path(sys.argv[1]), frozenset(sys.stdin.buffer.read().split(b"\n"))))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(_REFUSED)
