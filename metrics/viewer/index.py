"""Reading the viewer's index: items, captions and scores by the place of an item, the places that a search finds."""

import json
import math
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.common.json_text import parse_json
from metrics.common.measure_names import HEADLINE
from metrics.measures.statistics import Floats
from metrics.photos.folders import folder_named
from metrics.records.captions import CaptionRecord
from metrics.viewer.index_age import A_DAY, mark_used
from metrics.viewer.score_folder import System

VERSION = "2"  # of the tables; another version is another file
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Caption:
    """One system's caption of one item.

    Attributes:
        caption: the text, None if the system wrote none.
        logprob: mean log-probability of its tokens, natural logarithm.
        predicted: the category that a classifier read from it.
        attributes: lemmas that are `right`, `invented` and `missed` against the references, None if not measured.
    """

    caption: str | None
    logprob: float | None
    predicted: str | None
    attributes: Mapping[str, Sequence[str]] | None


class Index:
    """One scoring, or several of the same items. Items are known by their places 0..n-1 in the test set's order.

    Attributes:
        path: the SQLite file.
        title: what was scored.
        systems: all systems, with unique names; methods take their numbers 0, 1, ...
        maximum: measure to its highest value.
        images: the catalogue folder that photos are relative to; None if unknown, or if the scorings may not name it.
        folders: the folders of the scorings.

    Raises:
        sqlite3.Error: when the file is not an index, or damaged.
    """

    def __init__(self, path: Path, folders: Sequence[Path]) -> None:
        self.path = path
        self.folders = folders
        self._database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._alone = threading.Lock()
        self._marked = -math.inf
        about = parse_json(self._rows("SELECT content FROM about")[0][0])
        self.title: str = about["title"]
        self.systems = [System(**system) for system in about["systems"]]
        self.maximum: Mapping[str, float] = about["maximum"]
        self.images = _allowed(about["images"], folders)
        self._size = int(self._rows("SELECT count(*) FROM items")[0][0])

    def __len__(self) -> int:
        return self._size

    @property
    def names(self) -> list[str]:
        """The systems' names."""
        return [system.name for system in self.systems]

    @cached_property
    def measures(self) -> list[str]:
        """All measures, those that papers lead with first."""
        return [name for name in dict.fromkeys((*HEADLINE, *self.maximum)) if name in self.maximum]

    @cached_property
    def categories(self) -> dict[str, int]:
        """Each category and the number of its items, by name."""
        return dict(self._rows("SELECT category, count(*) FROM items WHERE category IS NOT NULL GROUP BY category"))

    @cached_property
    def slices(self) -> dict[str, int]:
        """The number of items that are `seen` and `unseen`; a slice without items is left out."""
        counts = dict(self._rows("SELECT seen, count(*) FROM items GROUP BY seen"))
        return {name: counts[flag] for name, flag in (("seen", 1), ("unseen", 0)) if flag in counts}

    def place(self, key: str) -> int | None:
        """The place of the item with this id, None if there is none."""
        rows = self._rows("SELECT place FROM items WHERE id = ?", key)
        return rows[0][0] if rows else None

    def item(self, place: int) -> CaptionRecord:
        """The item at a place, without a caption."""
        [[key, category, seen, record]] = self._rows(
            "SELECT id, category, seen, record FROM items WHERE place = ?", int(place)
        )
        item = CaptionRecord(**json.loads(record))
        return replace(item, id=key, category=category, seen=None if seen is None else bool(seen))

    def source(self, place: int) -> dict[str, str]:
        """The row that the catalogue's own table has of the item at a place, by column; empty if it is not known."""
        rows = self._rows("SELECT content FROM source WHERE place = ?", int(place))
        return dict(json.loads(rows[0][0])) if rows else {}

    def captions(self, place: int) -> list[Caption]:
        """All systems' captions of the item at a place, in the systems' order."""
        rows = self._rows(
            "SELECT caption, logprob, predicted, attributes FROM captions WHERE place = ? ORDER BY system", int(place)
        )
        return [
            Caption(caption, logprob, predicted, json.loads(attributes) if attributes else None)
            for caption, logprob, predicted, attributes in rows
        ]

    def texts(self, place: int) -> list[str | None]:
        """The texts of `captions`."""
        rows = self._rows("SELECT caption FROM captions WHERE place = ? ORDER BY system", int(place))
        return [caption for (caption,) in rows]

    def scores(self, measure: str, system: int) -> Floats:
        """(n,) each item's own value by a measure, 0..1 (CIDEr 0..10); NaN where the measure leaves the item out.

        All are NaN if the system was not scored by that measure.
        """
        rows = self._rows("SELECT per_item FROM scores WHERE measure = ? AND system = ?", storable(measure), system)
        return np.frombuffer(rows[0][0], "<f8") if rows else np.full(len(self), np.nan)

    def find(
        self,
        terms: Sequence[str] = (),
        category: str | None = None,
        seen: bool | None = None,
        first: int | None = None,
        products: int | None = None,
    ) -> Places:
        """Return the places, in order, of the items that meet all conditions.

        Args:
            terms: words, or runs of words, that their id, captions, references, category or attributes have, whatever
                the words' endings.
            category: their category.
            seen: whether their reference is in training.
            first: they are among the first so many of the test set.
            products: they are the first item of one of the first so many products.
        """
        conditions: list[tuple[str, Any]] = []
        if terms:
            conditions.append(("place IN (SELECT rowid FROM words WHERE words MATCH ?)", _quoted(terms)))
        if category is not None:
            conditions.append(("category = ?", category))
        if seen is not None:
            conditions.append(("seen = ?", seen))
        if first is not None:
            conditions.append(("place < ?", first))
        if products is not None:
            conditions.append(("product < ?", products))
        where = " AND ".join(condition for condition, _ in conditions) or "true"
        rows = self._rows(f"SELECT place FROM items WHERE {where} ORDER BY place", *(value for _, value in conditions))  # noqa: S608
        return np.fromiter((place for (place,) in rows), dtype=np.int64, count=len(rows))

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._alone:
            if time.monotonic() - self._marked > A_DAY:
                mark_used(self.path)
                self._marked = time.monotonic()
            return self._database.execute(query, values).fetchall()


def _allowed(images: str | None, folders: Sequence[Path]) -> Path | None:
    named = (folder_named(Path(images), folder) for folder in folders) if images else ()
    return next(filter(None, named), None)


def storable(value: str | None) -> str | None:
    """Return what SQLite can store: lone surrogates, which have no UTF-8, become backslash escapes."""
    return value if value is None or value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")


def _quoted(terms: Sequence[str]) -> str:
    """A query of FTS5 for all terms, each a string in quotes, within which nothing is syntax but the quote itself."""
    return " ".join('"' + term.replace('"', '""') + '"' for term in terms)
