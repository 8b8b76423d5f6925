"""Features of any shape, one row an item, on disk: read by slices, aligned by id. `feature_writer` writes them."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.data.feature_files import (
    ABOUT,
    IDS,
    REMEDY,
    ROWS,
    STORED,
    About,
    Dtype,
    Pieces,
    finite_rows,
    piece_digest,
    read_shape,
    to_float32,
)
from metrics.common.errors import UserError
from metrics.common.files import json_lines, read_json_object, sha256
from metrics.records.json_reader import JsonReader

_PIECE = 1 << 26  # bytes on disk that are read at once


class FeatureStore:
    """The features of n items; `open` reads its small files, rows are read when they are asked for.

    Attributes:
        path: its folder.
        about: what the rows are.
        ids: the id of each row.
        shape: of one row.
        dtype: of the numbers on disk; they are read as float32.
        digest: hash of ids and rows.
        pieces: hashes of its rows.
        remedy: what can be done about damage; it ends the messages.
    """

    def __init__(
        self,
        path: Path,
        about: About,
        ids: list[str],
        shape: tuple[int, ...],
        dtype: Dtype,
        digest: str,
        pieces: Pieces,
        remedy: str = REMEDY,
    ) -> None:
        self.path, self.about, self.ids, self.shape, self.dtype, self.digest = path, about, ids, shape, dtype, digest
        self.pieces, self.remedy = pieces, remedy
        self._unread = np.ones(len(pieces.digests), dtype=np.bool_)  # pieces not yet compared with their hashes

    @classmethod
    def open(cls, path: Path, remedy: str = REMEDY) -> Self:
        """Open a store; `remedy` says what the user can do if it is damaged.

        Raises `UserError` if it is none, or one that is damaged, cut short or has an id twice.
        """
        if not path.exists():
            raise UserError(
                f"{path}: expected a feature store, found nothing; name one, or make it by `lookbook embed`"
            )
        if not (path / ABOUT).is_file():
            raise UserError(f"{path}: expected a feature store, found no {ABOUT} in it; {remedy}")
        reader = JsonReader(read_json_object(path / ABOUT, remedy), str(path / ABOUT), remedy)
        shape, dtype = read_shape(reader), reader.text("dtype")
        if not shape or dtype not in STORED:
            found = f"{reader.values.get('shape')} and {dtype}"
            raise reader.error(f'expected a "shape" and a "dtype" ({", ".join(STORED)}), found {found}')
        ids = _read_ids(path / IDS, remedy)
        count, bytes_each = reader.whole("rows"), prod(shape) * STORED[dtype].itemsize
        if len(ids) != count or not ids:
            raise UserError(f"{path / IDS}: expected {count or 'some'} ids, found {len(ids):,}; {remedy}")
        size = (path / ROWS).stat().st_size if (path / ROWS).is_file() else 0
        if size != count * bytes_each:
            raise UserError(f"{path / ROWS}: expected {count * bytes_each:,} bytes, found {size:,}; {remedy}")
        pieces = Pieces.from_json(reader.inside("pieces"), count)
        written = reader.text("ids_digest")  # None of stores of earlier versions
        if written is not None and written != sha256(path / IDS):
            raise UserError(f"{path / IDS}: the ids, or their order, were changed after the store was made; {remedy}")
        about = About.from_json(reader.inside("about"))
        return cls(path, about, ids, shape, cast(Dtype, dtype), reader.text("digest") or "", pieces, remedy)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def refuse_other_dtype(self, expected: str, remedy: str) -> None:
        """Raise `UserError` unless its numbers are `expected` on disk."""
        if self.dtype != expected:
            raise UserError(f"{self.path}: expected numbers of --dtype {expected}, found {self.dtype}; {remedy}")

    def places(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The row of each id. Raises `UserError` naming ids that the store lacks."""
        unknown = [key for key in ids if key not in self._places]
        if unknown:
            named = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            raise UserError(
                f"{self.path}: has no features of {len(unknown):,} of {len(ids):,} ids ({named}); embed these items "
                "too, or leave them out"
            )
        return np.fromiter((self._places[key] for key in ids), np.int64, len(ids))

    def rows(self, places: ArrayLike | None = None) -> NDArray[np.float32]:
        """The rows at `places` (default: all), (n, *shape).

        Raises `UserError` if one is not finite, or if the piece that it is in is not what was written.
        """
        wanted = np.arange(len(self)) if places is None else np.asarray(places, dtype=np.int64)
        rows = np.empty((len(wanted), *self.shape), dtype=np.float32)
        size = self._piece
        for start in range(0, len(wanted), size):
            rows[start : start + size] = self._read(wanted[start : start + size])
        return rows

    def batches(self, size: int | None = None) -> Iterator[NDArray[np.float32]]:
        """All rows in their order, (at most `size`, *shape) at a time (default: 64 MiB on disk)."""
        step = size or self._piece
        for start in range(0, len(self), step):
            yield self.rows(np.arange(start, min(start + step, len(self))))

    def check(self) -> Self:
        """Read all rows once. Raises `UserError` if one is not finite, or not what was written."""
        for _ in self.batches():
            pass
        return self

    def refuse_grids(self) -> None:
        """Raise `UserError` unless its rows are vectors; reads none."""
        if len(self.shape) != 1:
            raise UserError(
                f"{self.path}: expected a vector an item, found rows of shape {self.shape}; embed with a pooled encoder"
            )

    def vectors(self) -> NDArray[np.float32]:
        """All rows as (n, d). Raises `UserError` if a row is not a vector, or if it is not finite."""
        self.refuse_grids()
        return self.rows()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.ids)}

    @property
    def _piece(self) -> int:
        return max(1, _PIECE // self._bytes_each)

    @property
    def _bytes_each(self) -> int:
        return prod(self.shape) * STORED[self.dtype].itemsize

    def _read(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Rows of one piece; the file is mapped again each time, so that what was read does not stay in memory."""
        stored = np.memmap(self.path / ROWS, STORED[self.dtype], mode="r", shape=(len(self), *self.shape))
        self._compare(stored, places)
        rows = to_float32(stored[places], self.dtype)
        finite = finite_rows(rows)
        if not finite.all():
            broken = self.ids[places[int(np.argmin(finite))]]
            raise UserError(f"{self.path / ROWS}: the row of {broken} has NaN or infinite numbers; {self.remedy}")
        return rows

    def _compare(self, stored: NDArray[Any], places: NDArray[np.int64]) -> None:
        """Compare the pieces that `places` are in with their hashes, each before its first row is read."""
        if not self._unread.any():
            return
        size = self.pieces.rows
        touched = np.unique(places // size)
        for piece in touched[self._unread[touched]]:
            start = int(piece) * size
            if piece_digest(stored[start : start + size]) != self.pieces.digests[piece]:
                last = self.ids[min(start + size, len(self)) - 1]
                raise UserError(
                    f"{self.path / ROWS}: among the rows of {self.ids[start]} to {last} something was changed after "
                    f"the store was made; {self.remedy}"
                )
            self._unread[piece] = False


def _read_ids(path: Path, remedy: str) -> list[str]:
    ids: dict[str, None] = {}
    for number, key in json_lines(path):
        if not isinstance(key, str) or not key:
            raise UserError(f"{path}:{number}: expected an id as a JSON string, found {key!r:.60}; {remedy}")
        if key in ids:
            raise UserError(f"{path}:{number}: the id {key} is there twice; {remedy}")
        ids[key] = None
    return list(ids)
