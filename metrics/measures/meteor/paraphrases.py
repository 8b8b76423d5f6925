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
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.common.cache import cache_folder
from metrics.common.errors import UserError
from metrics.common.files import atomic_writer, read_bytes
from metrics.common.parallel import ended_with_block, how_it_ended, start_python
from metrics.common.processes import end_with_starter

_CHUNK = 1 << 21  # of the gzipped file
_ONE, _ONES = np.uint64(1), np.uint64(0x0101010101010101)
_BLANK, _LINE_BREAK = np.uint64(ord(" ")), np.uint64(ord("\n"))
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
    """Yield the entries whose words are all known; most are told by the first words of phrase and paraphrase."""
    known = _Known(words)
    keys = _known_keys(words)
    for text in _blocks(full):
        padded = np.frombuffer(text + b"\n" * 8, dtype=np.uint8)
        ends = np.flatnonzero(padded[: len(text)] == _LINE_BREAK).reshape(-1, 3)
        for column in (0, 1):  # the line after this one
            first = _first_words(padded, ends[:, column] + 1)
            nearest = keys[np.searchsorted(keys[:-1], first)]
            ends = ends[nearest == first]
        for probability, phrase, paraphrase in ends.tolist():
            if known[text[probability + 1 : phrase]] and known[text[phrase + 1 : paraphrase]]:
                yield text[text.rfind(b"\n", 0, probability) + 1 : paraphrase + 1]


def _known_keys(words: Iterable[bytes]) -> NDArray[np.uint64]:
    text = b"\n".join([b"", *words, b"\n" * 8])
    padded = np.frombuffer(text, dtype=np.uint8)
    starts = np.flatnonzero(padded[:-8] == _LINE_BREAK) + 1
    return np.unique(_first_words(padded, starts))


def _first_words(padded: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the word at each start as a number: its first eight bytes, those from a blank or line break on zero."""
    bytes_from = np.ndarray(len(padded) - 7, dtype="<u8", buffer=padded, strides=(1,))
    eight = bytes_from[starts]
    ends = _zero_bytes(eight ^ _ONES * _BLANK) | _zero_bytes(eight ^ _ONES * _LINE_BREAK)
    first_end = ends & (~ends + _ONE)
    words: NDArray[np.uint64] = eight & ((first_end >> np.uint64(7)) - _ONE)
    return words


def _zero_bytes(eight: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers whose lowest bit is the highest of the first byte that is zero in each (Mycroft 1987)."""
    return (eight - _ONES) & ~eight & (_ONES << np.uint64(7))


def _blocks(full: Path) -> Iterator[bytes]:
    """Yield a number of complete entries at a time."""
    rest = b""
    try:
        for chunk in _chunks(full):
            text = rest + chunk
            end = _end_of_last_entry(text)
            rest = text[end:]
            yield text[:end]
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(full, error) from error
    if rest:
        raise _unreadable(full, "it ends in the middle of an entry")


def _end_of_last_entry(text: bytes) -> int:
    end = text.rfind(b"\n") + 1
    for _ in range(text.count(b"\n") % 3):
        end = text.rfind(b"\n", 0, end - 1) + 1
    return end


def _chunks(full: Path) -> Iterator[bytes]:
    """Yield the content; while a chunk is read, the next is decompressed, without Python's lock."""
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)  # + 16: a gzip file

    def chunk() -> bytes | None:
        packed = handle.read(_CHUNK)
        return inflate.decompress(packed) if packed else None

    with full.open("rb") as handle, ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(chunk)
        while (text := ahead.result()) is not None:
            ahead = pool.submit(chunk)
            yield text
    if not inflate.eof:
        raise EOFError("the file is cut short")


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
    end_with_starter()
    try:
        sys.stdout.buffer.writelines(_entries(Path(sys.argv[1]), frozenset(sys.stdin.buffer.read().split(b"\n"))))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(_REFUSED)
