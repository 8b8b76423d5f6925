"""The files of a feature store: what its rows are, and how numbers lie on disk.

A store is a folder: `features.json` says what the rows are, `ids.jsonl` has the id of each as a JSON string a line, and
`rows.bin` the rows one after another, little-endian. bfloat16, which numpy lacks, is the upper half of a float32.
`features.json` also has the hash of each piece of `rows.bin`, so that damage is found where it is read.
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from metrics.records.json_reader import JsonReader

ABOUT, IDS, ROWS = "features.json", "ids.jsonl", "rows.bin"
REMEDY = "remove it and make it again with `lookbook embed`"
_CALLED = {
    "source": "photos or texts of hash",
    "weights": "weights of hash",
    "adapter": "an adapter of hash",
    "items": "a number of items of",
}
_NEWLY_RECORDED = ("revision", "processor")  # earlier versions left them out for some encoders
_PIECE = 1 << 22  # bytes
_LONGEST_SIDE = 1 << 31
_MOST_SIDES = 8
_SNAPSHOT = r"models--[^/]+--([^/]+)/snapshots/[^/:]+"
_UNTELLING = r"(model|checkpoint-\d+|[0-9a-f]{6,40})(:\w+)?"  # a commit, perhaps shortened
Dtype = Literal["float16", "float32", "bfloat16"]
STORED: dict[str, np.dtype[Any]] = {
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "bfloat16": np.dtype("<u2"),
}


@dataclass(frozen=True)
class About:
    """What the rows of a store are. Two stores with equal `About` hold the same features of the same items.

    Attributes:
        encoder: the name by which the encoder is loaded again.
        reads: `photo`, `text`, or `both` for joined vectors.
        revision: the Hub's commit, None of a folder or a package.
        weights: hash of the encoder's weights, or of what it learnt from the texts.
        adapter: hash of the adapter that was on, None without one.
        pooling: `pooled`, `grid`, `mean`, `flat`, ... as the encoder names it.
        resolution: pixels of a side as the encoder sees a photo, None of texts.
        processor: hash of how photos or texts were prepared.
        text: which text: `description`, `columns:A,B`, `captions:SHA-256`, `description, else captions:SHA-256`.
        catalogue: the name of the catalogue.
        source: hash of all photos or texts that belong to the store, with their ids.
        items: how many these are; a part of a store (`--shard`) has fewer rows.
        note: what a reader should know, such as that an adapter does not change these features.
        folder: where the catalogue's photos lie; not part of what the features are.
    """

    encoder: str
    reads: Literal["photo", "text", "both"]
    revision: str | None = None
    weights: str | None = None
    adapter: str | None = None
    pooling: str = "pooled"
    resolution: int | None = None
    processor: str | None = None
    text: str | None = None
    catalogue: str | None = None
    source: str | None = None
    items: int | None = None
    note: str | None = field(default=None, compare=False)
    folder: str | None = field(default=None, compare=False)

    @property
    def encoder_shown(self) -> str:
        """`encoder` as reports name it: of a model in a folder of this machine without the folder's path."""
        return " + ".join(map(_without_folder, self.encoder.split(" + ")))  # of joined stores

    def to_json(self) -> dict[str, Any]:
        """The values that are known."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, reader: JsonReader) -> Self:
        """Read `to_json`'s values. Raises `UserError` for one of a wrong type."""
        numbers = ("resolution", "items")
        values: dict[str, Any] = {
            one.name: (reader.whole if one.name in numbers else reader.text)(one.name) for one in fields(cls)
        }
        if not values["encoder"] or values["reads"] not in ("photo", "text", "both"):
            raise reader.error('"encoder" and "reads" (photo, text or both) are missing')
        return cls(**values | {"pooling": values["pooling"] or "pooled"})

    def refuse_other(self, other: "About", where: str, remedy: str) -> None:
        """Raise `UserError` naming what differs if the features at `where`, which `other` describes, are not these."""
        mine, theirs = self.to_json(), other.to_json()
        compared = [one.name for one in fields(self) if one.compare]
        for name in compared:
            unknown = name in _NEWLY_RECORDED and (name not in mine or name not in theirs)
            if mine.get(name) != theirs.get(name) and not unknown:
                raise UserError(
                    f"{where}: expected features with {_CALLED.get(name, name)} {mine.get(name)}, found "
                    f"{theirs.get(name)}; {remedy}"
                )


def _without_folder(name: str) -> str:
    """The last part of an absolute path, with the one before it if it says nothing; the model's name in a Hub cache."""
    if not Path(name).is_absolute():
        return name
    parts = Path(re.sub(_SNAPSHOT, r"\1", name)).parts
    return str(Path(*parts[-2 if re.fullmatch(_UNTELLING, parts[-1]) else -1 :]))


def read_shape(reader: JsonReader) -> tuple[int, ...]:
    """The shape of a row; empty if there is none."""
    sides = reader.values.get("shape")
    if not isinstance(sides, list) or not all(type(side) is int and 0 < side < _LONGEST_SIDE for side in sides):
        return ()
    return tuple(sides) if len(sides) <= _MOST_SIDES else ()


@dataclass(frozen=True)
class Pieces:
    """The hash of each piece of `rows.bin`; a piece has so many `rows`, the last one may have fewer.

    Stores of earlier versions have no digests: their rows are not checked.
    """

    rows: int
    digests: Sequence[str]

    @classmethod
    def of(cls, path: Path, bytes_each: int) -> Self:
        """Read the file `path`, whose rows have so many bytes, in pieces of 4 MiB, or of a row if that is longer."""
        rows = max(1, _PIECE // bytes_each)
        with path.open("rb") as file:
            return cls(rows, [piece_digest(piece) for piece in iter(lambda: file.read(rows * bytes_each), b"")])

    @classmethod
    def from_json(cls, reader: JsonReader, count: int) -> Self:
        """Read the hashes of `count` rows. Raises `UserError` if there are more or fewer than of that many."""
        rows, digests = reader.whole("rows") or 1, reader.texts("digests")
        if rows < 1 or len(digests) not in (0, -(-count // rows)):
            raise reader.error(f"expected a hash of every {rows:,} of {count:,} rows, found {len(digests):,}")
        return cls(rows, digests)


def piece_digest(piece: Any) -> str:
    """The hash of a piece's bytes, 16 hexadecimal digits."""
    return hashlib.sha256(piece).hexdigest()[:16]


def to_stored(rows: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Rows as numbers on disk, rounded to the nearest (ties to even)."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, which the writer refuses
            stored: NDArray[Any] = rows.astype(STORED[dtype])
        return stored
    bits = np.ascontiguousarray(rows, dtype="<f4").view("<u4")
    return np.asarray((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16, dtype="<u2")


def to_float32(stored: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """Numbers on disk as float32."""
    if dtype != "bfloat16":
        return stored.astype(np.float32)
    return np.asarray((stored.astype("<u4") << 16).view("<f4"), dtype=np.float32)


def finite_rows(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of n rows of any shape are finite, (n,)."""
    return np.asarray(np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))


def remove_store(path: Path, *beside: str) -> None:
    """Remove the folder of a store that was opened, with the files `beside` its own.

    Raises `UserError` if there is anything else in it, or if it is a link.
    """
    others = sorted({file.name for file in path.iterdir()} - {ABOUT, IDS, ROWS, *beside})
    if path.is_symlink() or others:
        found = others[0] if others else "a link"
        raise UserError(f"{path}: expected a store alone, found {found}; move it away, and run again")
    shutil.rmtree(path)
