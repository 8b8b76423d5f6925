"""A folder that `score` wrote, as the viewer reads it."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics.common.errors import UserError
from metrics.common.files import json_lines, read_json_object, sha256
from metrics.records.captions import CaptionRecord, stream_records
from metrics.records.json_reader import JsonReader

_REPORT, _ITEMS, _ROWS = "report.json", "scored-references.jsonl", "items.jsonl"
FILES = (_REPORT, _ITEMS, _ROWS)
REMEDY = "score the captions again with `lookbook score`"
_SETS = ("right", "invented", "missed")


@dataclass(frozen=True, slots=True)
class System:
    """A system that was scored.

    Attributes:
        name: its name in the report.
        kind: `baseline`, `control`, `pretrained`, `finetuned` or None.
        values: measure to its value over all items, 0..1 (CIDEr 0..10).
    """

    name: str
    kind: str | None
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CaptionRow:
    """What a scoring knows of one system's caption of one item.

    Attributes:
        caption: None if the system wrote none.
        logprob: mean log-probability of its tokens.
        predicted: the category that a classifier read from it.
        attributes: lemmas that are `right`, `invented` and `missed`, None if they were not measured.
        scores: measure to its value, 0..1 (CIDEr 0..10); without measures that leave the item out.
    """

    caption: str | None
    logprob: float | None
    predicted: str | None
    attributes: Mapping[str, Sequence[str]] | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ScoreFolder:
    """The description of a scoring, of which items and captions are read as they are needed.

    Attributes:
        path: the folder.
        title: what was scored.
        systems: in the report's order.
        measures: in the order of tables.
        maximum: measure to its highest value.
        images: the catalogue folder that photos are relative to, None if unknown.
    """

    path: Path
    title: str
    systems: Sequence[System]
    measures: Sequence[str]
    maximum: Mapping[str, float]
    images: Path | None

    @property
    def items_file(self) -> Path:
        """The file of the items."""
        return self.path / _ITEMS

    def digest(self) -> str:
        """Hash of the files that the viewer reads."""
        return " ".join(sha256(self.path / name) for name in FILES)

    def items(self) -> Iterator[CaptionRecord]:
        """Yield the items in their order; raises `UserError` naming file and line."""
        return stream_records(self.items_file)

    def rows(self, ids: Sequence[str]) -> Iterator[tuple[int, int, CaptionRow]]:
        """Yield (system, item, row) by their numbers, system by system, each in the order of the items' `ids`.

        Raises:
            UserError: naming file and line, when a line is damaged, or not the next of that order; naming the file,
                when lines are missing.
        """
        path, number = self.path / _ROWS, 0
        expected = len(ids) * len(self.systems)
        for line, value in json_lines(path):
            reader = JsonReader(value, f"{path}:{line}", REMEDY)
            if number == expected:
                raise reader.error(f"expected {expected:,} lines, {len(ids):,} items by each system; found more")
            system, item = divmod(number, len(ids))
            self._check_order(reader, system, ids[item])
            yield system, item, self._row(reader)
            number += 1
        if number < expected:
            raise UserError(
                f"{path}: expected {expected:,} lines, {len(ids):,} items by each system; found {number:,}; {REMEDY}"
            )

    def _check_order(self, reader: JsonReader, system: int, key: str) -> None:
        expected = {"id": key, "system": self.systems[system].name}
        found = {name: reader.text(name) for name in expected}
        if found != expected:
            raise reader.error(f"expected id {key!r} of system {expected['system']!r}, found {found!r:.200}")

    def _row(self, reader: JsonReader) -> CaptionRow:
        given = ((measure, reader.values.get(measure)) for measure in self.measures)
        scores = {measure: value for measure, value in given if value is not None}
        wrong = next((measure for measure, value in scores.items() if not _is_score(value)), None)
        if wrong is not None:
            raise reader.error(f'"{wrong}" must be a finite number or null, found {scores[wrong]!r:.60}')
        attributes = None
        if reader.values.get("attributes") is not None:
            sets = reader.inside("attributes")
            attributes = {name: sets.texts(name) for name in _SETS}
        return CaptionRow(
            reader.text("caption"),
            reader.number("logprob"),
            reader.text("predicted"),
            attributes,
            scores,
        )


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def read_score_folder(path: Path) -> ScoreFolder:
    """Read what a folder of `score` says about itself.

    Raises:
        UserError: naming the file, when the folder is no such folder or of an earlier version, or a file is damaged.
    """
    if not path.is_dir():
        raise UserError(f"{path}: expected a folder that `lookbook score` wrote, found {_kind(path)}")
    missing = [name for name in FILES if not (path / name).is_file()]
    if missing:
        raise UserError(f"{path}: expected a folder that `lookbook score` wrote, but it has no {missing[0]}; {REMEDY}")
    report = JsonReader(read_json_object(path / _REPORT, REMEDY), str(path / _REPORT), REMEDY)
    systems, measures = report.each("systems"), report.texts("measures")
    if not systems or not measures:
        raise report.error("expected systems and measures, found none")
    maximum = report.inside("maximum").numbers()
    return ScoreFolder(
        path,
        report.text("title") or "Captions",
        [_system(reader) for reader in systems],
        measures,
        {measure: maximum.get(measure, 1) for measure in measures},
        next((folder for reader in systems if (folder := _images(reader))), None),
    )


def _kind(path: Path) -> str:
    return "a file" if path.exists() else "no such folder"


def _system(reader: JsonReader) -> System:
    name = reader.text("name")
    if name is None:
        raise reader.error('"name" is missing')
    scores = reader.inside("scores").inside("all")
    values = {measure: scores.inside(measure).number("value") for measure in scores.values}
    return System(name, reader.text("kind"), {name: value for name, value in values.items() if value is not None})


def _images(reader: JsonReader) -> Path | None:
    folder = reader.inside("run").inside("catalogue").text("folder")
    return Path(folder) if folder else None
