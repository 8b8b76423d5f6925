"""From a model and photos to captions: batched, resumable, each item exactly once."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from finetune.export import Format, write_captions
from finetune.families.base import Generated
from finetune.images import load_image, to_rgb
from finetune.preparation import ALL_SPLITS, Prepared
from finetune.provenance import git_hash, hardware, versions
from finetune.runs import System, account_of, read_run, write_run
from metrics.captions import CaptionRecord, read_records
from metrics.errors import UserError


def caption_photos(system: System, photos: Sequence[Path]) -> Iterator[tuple[Path, Generated]]:
    """Caption loose photos, a batch at a time."""
    size = system.decoding.batch_size
    for start in range(0, len(photos), size):
        batch = photos[start : start + size]
        images = [load_image(photo) for photo in batch]
        yield from zip(batch, system.captioner.generate(images, system.prompt, system.decoding), strict=True)


@dataclass(frozen=True)
class Selection:
    """Which items to caption: a split (or `all`), at most `limit` of them, or those with the `ids` alone."""

    split: str = "test"
    ids: frozenset[str] | None = None
    limit: int | None = None

    def items(self, prepared: Prepared) -> list[tuple[CaptionRecord, Any, int]]:
        """Records with the data set and the row that hold their photo. Raises `UserError` for unknown ids."""
        splits = ALL_SPLITS if self.split == "all" else (self.split,)
        found = [
            (record, prepared.splits[split], row)
            for split in splits
            for row, record in enumerate(prepared.records(split))
            if self.ids is None or record.id in self.ids
        ]
        unknown = (self.ids or frozenset()) - {record.id for record, _, _ in found}
        if unknown:
            raise UserError(f"{len(unknown)} id(s) are not in split {self.split!r}, for example {min(unknown)}")
        if not found:
            raise UserError(f"split {self.split!r} has no items to caption")
        return found[: self.limit]


def caption_catalogue(
    system: System,
    prepared: Prepared,
    selection: Selection,
    out: Path,
    name: str | None = None,
    form: Format = "jsonl",
) -> list[CaptionRecord]:
    """Caption the selected items and write `out` with `run.json` beside it.

    Finished batches are kept in a hidden file beside `out`, named by what decides the captions, so that a killed run
    continues where it stopped; `out` itself appears whole. Where `out` holds these very captions already (as JSON
    lines), they are only read.
    """
    items = selection.items(prepared)
    digest = _digest(system, prepared, [record.id for record, _, _ in items])
    if form == "jsonl" and out.is_file() and read_run(out.parent).get("digest") == digest:
        return read_records(out)
    journal = out.with_name(f".{out.name}.{digest}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    done = _read_journal(journal)
    started = time.perf_counter()
    _caption_missing(system, [item for item in items if item[0].id not in done], journal, done)
    captioned = [replace(record, **done[record.id]) for record, _, _ in items]
    write_captions(out, captioned, form)
    seconds = {"caption_s": time.perf_counter() - started}
    write_run(out.parent, _run_info(system, prepared, selection, name, seconds) | {"digest": digest})
    journal.unlink(missing_ok=True)
    return captioned


def _caption_missing(system: System, items: list[Any], journal: Path, done: dict[str, dict[str, Any]]) -> None:
    size = system.decoding.batch_size
    with journal.open("a", encoding="utf-8") as file, tqdm(total=len(items), desc="captioning", unit="photo") as bar:
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            images = [to_rgb(data[row]["image"]) for _, data, row in batch]
            for (record, _, _), generated in zip(
                batch, system.captioner.generate(images, system.prompt, system.decoding), strict=True
            ):
                done[record.id] = asdict(generated)
            _keep(file, {record.id: done[record.id] for record, _, _ in batch})
            bar.update(len(batch))


def _keep(journal: TextIO, captions: dict[str, dict[str, Any]]) -> None:
    try:
        journal.writelines(json.dumps({"id": key} | caption) + "\n" for key, caption in captions.items())
        journal.flush()
    except OSError as error:
        raise UserError(
            f"cannot write {journal.name}: {error.strerror}; make room and start again, what is captioned is kept"
        ) from error


def _read_journal(path: Path) -> dict[str, dict[str, Any]]:
    """Captions of an earlier, killed run; a line cut off by the kill is removed and done again."""
    if not path.is_file():
        return {}
    whole = path.read_bytes().rpartition(b"\n")[0]
    path.write_bytes(whole + b"\n" if whole else b"")
    rows = [json.loads(line) for line in whole.splitlines()]
    return {row.pop("id"): row for row in rows}


def _digest(system: System, prepared: Prepared, ids: list[str]) -> str:
    """Short hash of all that decides the captions."""
    weights = [system.model, system.adapter]
    state = {
        "weights": [_weights_state(path) for path in weights if path],
        "prompt": system.prompt,
        "decoding": system.decoding.model_dump(),
        "catalogue": prepared.account["fingerprint"],
        "ids": ids,
    }
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]


def _weights_state(path: str) -> list[str]:
    files = sorted(Path(path).glob("*.safetensors"))
    return [path, *(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)]


def _run_info(
    system: System, prepared: Prepared, selection: Selection, name: str | None, seconds: dict[str, float]
) -> dict[str, Any]:
    trained = system.training
    kind = "finetuned" if trained or system.adapter else "pretrained"
    own = {
        "system": name or {"finetuned": "fine-tuned", "pretrained": "pretrained"}[kind],
        "kind": kind,
        "model": system.model,
        "adapter": system.adapter,
        "prompt": system.prompt,
        "decoding": system.decoding.model_dump(),
        "split": selection.split,
        "versions": versions(),
        "hardware": hardware(),
        "git": git_hash(),
        "times": trained.get("times", {}) | seconds,
    }
    return trained | own | account_of(prepared)
