"""From a model and photos to captions: batched, resumable, each item exactly once."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object

from finetune.captioning.export import write_captions
from finetune.captioning.partial import Captions, Journals, append_to_journal
from finetune.captioning.request import Format, refuse_other_captions
from finetune.config.catalogues import ALL_SPLITS
from finetune.config.packaged import base_folder
from finetune.data.preparation import Prepared
from finetune.models.generation import Generated, generate
from finetune.runs.captioning_system import CaptioningSystem
from finetune.runs.exposure import as_seen_by
from finetune.runs.provenance import git_hash, hardware, versions
from metrics.common.errors import UserError
from metrics.common.files import all_or_none, make_folder, sha256
from metrics.common.screen import progress
from metrics.photos.colours import to_rgb
from metrics.photos.reading import load_photo
from metrics.records.captions import CaptionRecord, read_records
from metrics.records.run import RUN_FILE, RunRecord, read_run


def caption_photos(system: CaptioningSystem, photos: Sequence[Path]) -> Iterator[tuple[Path, Generated]]:
    """Caption loose photos, a batch at a time."""
    size = system.decoding.batch_size
    for start in range(0, len(photos), size):
        batch = photos[start : start + size]
        images = [load_photo(photo) for photo in batch]
        captions = generate(system.captioner, images, [system.prompt] * len(images), system.decoding)
        yield from zip(batch, captions, strict=True)


@dataclass(frozen=True)
class Selection:
    """Which items to caption: a split (or `all`), at most `limit` of them, or only those with the `ids`."""

    split: str = "test"
    ids: frozenset[str] | None = None
    limit: int | None = None

    def items(self, prepared: Prepared) -> list[tuple[CaptionRecord, Any, int]]:
        """Records with the data set and the row that hold their photo. Raises `UserError` for unknown ids."""
        splits = ALL_SPLITS if self.split == "all" else (self.split,)
        items = [
            (record, prepared.splits[split], row)
            for split in splits
            for row, record in enumerate(prepared.records(split))
            if self.ids is None or record.id in self.ids
        ]
        unknown = (self.ids or frozenset()) - {record.id for record, _, _ in items}
        if unknown:
            hint = "" if self.split == "all" else "; --split all searches all of them"
            raise UserError(f"{len(unknown)} id(s) are not in split {self.split!r}, for example {min(unknown)}{hint}")
        if not items:
            raise UserError(f"split {self.split!r} has no items to caption")
        return items[: self.limit]


def caption_catalogue(
    system: CaptioningSystem,
    prepared: Prepared,
    selection: Selection,
    out: Path,
    name: str | None = None,
    form: Format = "jsonl",
    overwrite: bool | None = None,
) -> list[CaptionRecord]:
    """Caption the selected items and write `out` with `run.json` beside it.

    Finished batches are kept in hidden files beside `out`, one of each process of `accelerate launch`, named by a hash
    of all that determines the captions, so that a killed run continues where it stopped, on any number of processes;
    `out` itself appears whole, written by the first process. If `out` contains these very captions already (as JSON
    lines), they are only read. All processes return all captions. Raises `UserError` as `refuse_other_captions`.
    """
    state = PartialState()
    with state.main_process_first():
        refuse_other_captions(out, overwrite)
    items = selection.items(prepared)
    digest = _digest(system, prepared, [record.id for record, _, _ in items])
    if form == "jsonl" and _stands(out, digest, name):
        return read_records(out)
    make_folder(out.parent)
    journals = Journals(out, digest)
    done = journals.read()
    spent = "caption_since_resume_s" if done else "caption_s"
    started = time.perf_counter()
    missing = [item for item in items if item[0].id not in done]
    if state.is_main_process and system.captioner.crops and prepared.account.outside_middle_square:
        print(prepared.account.unseen_note(), file=sys.stderr)
    share = missing[state.process_index :: state.num_processes]
    own = _caption_missing(system, share, journals.own)
    done |= dict(gather_object(list(own.items())))
    records, account = as_seen_by(system, prepared, [record for record, _, _ in items])
    captioned = [replace(record, **done[record.id]) for record in records]
    if state.is_main_process:
        record = _run_record(system, selection, name)
        times = {**record.times, spent: time.perf_counter() - started}
        with all_or_none() as drafts:
            write_captions(out, captioned, form)
            record = replace(record, **account, times=times, file=out.name, sha256=sha256(drafts[out]), digest=digest)
            record.write(out.with_name(RUN_FILE))
        journals.remove()
    state.wait_for_everyone()
    return captioned


def _stands(out: Path, digest: str, name: str | None) -> bool:
    """Whether `out` holds these very captions, whole and untouched, under this name."""
    run = read_run(out) if is_untouched(out) else None
    return run is not None and run.digest == digest and name in (None, run.system)


def is_untouched(out: Path) -> bool:
    """Whether `out` holds captions exactly as they were written, by the hash in the `run.json` beside it."""
    try:
        run = read_run(out)
    except UserError:
        return False  # damaged: the captions are written again
    return out.is_file() and run is not None and (run.file, run.sha256) == (out.name, sha256(out))


def _caption_missing(system: CaptioningSystem, items: list[Any], journal: Path) -> Captions:
    """Caption a process's items, batch after batch into its journal."""
    size = system.decoding.batch_size
    done: Captions = {}
    quiet = not PartialState().is_main_process
    with (
        journal.open("ab", buffering=0) as file,
        progress(None, "captioning", total=len(items), unit="photo", disable=quiet) as bar,
    ):
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            images = [to_rgb(data[row]["image"]) for _, data, row in batch]
            captions = generate(system.captioner, images, [system.prompt] * len(images), system.decoding)
            new = {record.id: asdict(one) for (record, _, _), one in zip(batch, captions, strict=True)}
            append_to_journal(file, new)
            done |= new
            bar.update(len(batch))
    return done


def _digest(system: CaptioningSystem, prepared: Prepared, ids: list[str]) -> str:
    """Short hash of all that determines the captions."""
    config = system.model
    state = {
        "model": config.identity(),
        "weights": [_files_state(path) for path in (config.base, system.adapter) if path],
        "prompt": system.prompt,
        "decoding": system.decoding.model_dump(),
        "catalogue": prepared.account.fingerprint,
        "ids": ids,
    }
    if system.own_photos:
        state["photos"] = system.captioner.processor.image_processor.to_json_string()
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]


def _files_state(folder: str) -> list[str]:
    files = sorted(path for path in Path(base_folder(folder)).glob("*") if path.is_file())
    return [folder, *(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)]


def _run_record(system: CaptioningSystem, selection: Selection, name: str | None) -> RunRecord:
    """What is known of the captions before they are written: how the model was trained, and how it is run here."""
    kind = "finetuned" if system.training or system.adapter else "pretrained"
    training = system.training.to_json() if system.training else {}
    here = {"versions": versions(), "hardware": hardware(), "git": git_hash()}
    return RunRecord(
        **training | here,
        system=name or {"finetuned": "fine-tuned", "pretrained": "pretrained"}[kind],
        kind=kind,
        model=system.model.base,
        adapter=system.adapter,
        quantization=system.model.quantization,
        prompt=system.prompt,
        decoding=system.decoding.model_dump(),
        split=selection.split,
    )
