"""Descriptions for the items of a catalogue that have a photo and none: a new table, its record, a page to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd

from finetune.captioning.captioning import Selection, caption_catalogue
from finetune.captioning.filling.contact_sheet import write_contact_sheet
from finetune.captioning.filling.rules import Rules, confidence, sentence_case
from finetune.captioning.filling.tables import filled_name, write_filled_table
from finetune.config.recipe import Recipe
from finetune.data.catalogues import loader_of
from finetune.data.catalogues.base import SourceTable
from finetune.data.filled import Filled, fillings, record_of
from finetune.data.items import read_items
from finetune.data.mixture import prepare_one
from finetune.data.preparation import Prepared
from finetune.runs.captioning_system import CaptioningSystem
from metrics.common.errors import UserError
from metrics.common.files import all_or_none, make_folder, read_json_object, sha256, write_text
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.version import installed_version
from metrics.records.captions import CaptionRecord, read_captions, write_records
from metrics.records.run import RUN_FILE, RunRecord, read_run

CLAIM = "fill.json"
_CONTENTS = Contents({CLAIM: '"lookbook": '}, record=CLAIM)
NEW_COLUMN = "caption"
NEW_TABLE = "metadata.csv"


@dataclass(frozen=True)
class Filling:
    """What is filled, where it comes from and goes to.

    Attributes:
        prepared: the catalogue.
        table: the table with its descriptions; None if the catalogue has no table that could be written.
        rules: which items, and which captions are withheld.
        out: the folder of all that is written.
    """

    prepared: Prepared
    table: SourceTable | None
    rules: Rules
    out: Path

    @classmethod
    def of(cls, recipe: Recipe, catalogue: str | None, rules: Rules, out: Path) -> Self:
        """Take the catalogue of a recipe, of several the one of that name. Raises `UserError` as `prepare_one`."""
        prepared = prepare_one(recipe.catalogues, recipe.training.seed, catalogue)
        section = recipe.catalogues[catalogue or next(iter(recipe.catalogues))]
        return cls(prepared, loader_of(section).table(), rules, out)

    @property
    def candidates(self) -> Path:
        """Every caption that the model wrote, whether it is withheld or not."""
        return self.out / "candidates" / "captions.jsonl"

    @property
    def target(self) -> Path | None:
        """The new table, under the name of the old one (`filled_name`)."""
        if self.table is None:
            return None
        return self.out / (filled_name(self.table.path) if self.table.path else NEW_TABLE)

    @property
    def without_photo(self) -> int:
        """How many rows have neither description nor photo, and stay as they are."""
        items = read_items(_items(self.prepared))
        return int((items["image"].isna() & (items["description"].str.strip() == "")).sum())

    @property
    def column(self) -> str:
        """The column of descriptions; a table without one gets a new one."""
        return (self.table and self.table.caption) or NEW_COLUMN

    def check(self) -> None:
        """Raise `UserError` if `out` holds what `fill` did not write, or a table that somebody has changed since."""
        refuse_foreign(self.out, _CONTENTS)
        if self.table and self.table.path and not self.table.caption and NEW_COLUMN in _header(self.prepared):
            raise UserError(
                f"{self.table.path}: has a column {NEW_COLUMN}; if it has the descriptions, name it in a recipe: "
                "data.columns.caption"
            )
        target = self.target
        if target and target.exists() and _written_hash(target) != sha256(target):
            raise UserError(
                f"{target}: was changed since fill wrote it; move it elsewhere, or give another --out, to keep it"
            )

    def caption(self, system: CaptioningSystem) -> None:
        """Write the candidates' captions; interrupted, it continues, and finished captions are only read.

        Raises `UserError` as `check`, and if nothing is to be filled.
        """
        ids = self.rules.candidates(self.prepared)
        self.check()
        make_folder(self.out)
        write_text(self.out / CLAIM, f'{{"lookbook": "{installed_version()}"}}\n')
        caption_catalogue(system, self.prepared, Selection("all", ids), self.candidates)

    def write(self) -> Filled:
        """Write captions.jsonl, the new table with its record, and the contact sheet, all or none, after `caption`."""
        self.check()
        records, run = read_captions(self.candidates), read_run(self.candidates)
        reasons = {record.id: self.rules.reason_against(record) for record in records}
        described = [replace(record, caption=sentence_case(record.caption or "")) for record in records]
        kept = [record for record in described if reasons[record.id] is None]
        run = replace(run or RunRecord(system="captions"), file="captions.jsonl", digest=None)
        filled = Filled(
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            system=_provenance(run),
            rules=asdict(self.rules),
            filled={record.id: _entry(record) for record in kept},
            withheld={one.id: _entry(one) | {"reason": reasons[one.id]} for one in described if reasons[one.id]},
        )
        captions, target = self.out / "captions.jsonl", self.target
        with all_or_none() as drafts:
            write_records(captions, kept)
            replace(run, sha256=sha256(drafts[captions])).write(self.out / RUN_FILE)
            if self.table and target:
                filled = self._with_table(filled, self.table, self.candidates.with_name(target.name), drafts)
            filled.write(record_of(target) if target else self.out / "filled.json")
            write_contact_sheet(self.out, self.prepared, described, filled)
            if target:
                target.unlink(missing_ok=True)  # `check` has seen that it is ours, and unchanged
        if target:  # after its record, so that no model's words are ever without it
            self.candidates.with_name(target.name).replace(target)
        return filled

    def _with_table(self, filled: Filled, table: SourceTable, draft: Path, drafts: Mapping[Path, Path]) -> Filled:
        """Write the new table to `draft`; the record of it."""
        source = table.path or _list_of_photos(self.prepared, draft.with_name("photos.csv"))
        numbers = {key: number for number, key in enumerate(read_items(_items(self.prepared))["id"])}
        texts = {numbers[key]: entry["text"] for key, entry in filled.filled.items()}
        header = _header(self.prepared) if table.path else None
        write_filled_table(source, draft, self.column, texts, header, table.encoding)
        filled = replace(filled, table=draft.name, sha256=sha256(drafts[draft]))
        if table.path:
            origin = {"path": str(source), "sha256": sha256(source)}
            filled = replace(filled, source=origin, earlier=fillings(source, without=filled.filled))
        return filled


def _items(prepared: Prepared) -> Path:
    if prepared.items is None:
        raise UserError(f"{prepared.account.name}: has no table of its own; name one of its catalogues")
    return prepared.items


def _header(prepared: Prepared) -> Sequence[str]:
    return [name.removeprefix("source.") for name in read_items(_items(prepared)) if name.startswith("source.")]


def _list_of_photos(prepared: Prepared, path: Path) -> Path:
    items = read_items(_items(prepared))
    pd.DataFrame({"file_name": items["image"]}).to_csv(path, index=False, lineterminator="\n")
    return path


def _written_hash(target: Path) -> Any:
    record = record_of(target)
    return read_json_object(record, "restore it from a copy").get("sha256") if record.is_file() else None


def _entry(record: CaptionRecord) -> dict[str, Any]:
    return {"text": record.caption, "confidence": confidence(record), "finished": record.finished}


def _provenance(run: RunRecord) -> Mapping[str, Any]:
    values = run.to_json()
    names = ("system", "model", "adapter", "quantization", "prompt", "decoding", "versions", "git", "hardware")
    return {name: values[name] for name in names if values.get(name)}
