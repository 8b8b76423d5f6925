"""What a trained system has seen of the items it captions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.data.leaks import Exposed, LeakAudit, SeenInTraining
from finetune.data.preparation import Prepared
from finetune.models.adapter_files import adapter_folder, adapter_name, run_of
from finetune.models.loading import base_name
from finetune.runs.captioning_system import CaptioningSystem
from finetune.runs.claim import START
from finetune.runs.folder import RunFolder
from finetune.runs.training_record import catalogue_of, read_training
from metrics.records.captions import CaptionRecord, read_records, write_records

KNOWN = "is_known"


def as_seen_by(
    system: CaptioningSystem, prepared: Prepared, items: Sequence[CaptionRecord]
) -> tuple[list[CaptionRecord], dict[str, Any]]:
    """The items with `seen` as it is for this system, and the account for its `run.json`.

    If a run captions another catalogue or split than it was trained on, or began from an adapter, `seen` and the
    leak audit are taken against all items that it was trained on, not against the training split beside
    the items. The account's `leak_note` says what of its training is unknown.
    """
    account, note = catalogue_of(prepared), leak_note(system)
    account |= {"leak_note": note} if note else {}
    training = system.training
    is_own_split = training is not None and training.catalogue_fingerprint == prepared.account.fingerprint
    if system.trained_on is None or (is_own_split and not (training and training.init_from)):
        return list(items), account
    marked, audit = audited(prepared, items, system.trained_on)
    return marked, account | {"leak_audit": audit.as_dict()}


def audited(
    prepared: Prepared, items: Sequence[CaptionRecord], trained_on: Path
) -> tuple[list[CaptionRecord], LeakAudit]:
    """The items with `seen` taken against those of the file `trained_on`, and their leak audit.

    If training was on several catalogues, an item's siblings are those of the catalogue with the same name.
    """
    trained = _training_items(read_records(trained_on), prepared.account.name)
    described = [item for item in items if item.references]
    test = _exposed(described)
    seen = dict(zip([item.id for item in described], trained.seen(test.captions), strict=True))
    marked = [replace(item, seen=seen.get(item.id)) for item in items]
    return marked, trained.audit(test)


def _training_items(records: Sequence[CaptionRecord], catalogue: str) -> SeenInTraining:
    """What a model was trained on; products of "catalogue/product", as mixtures write them, under both names."""
    items = _exposed(records)
    own = [product.removeprefix(f"{catalogue}/") for product in items.products if product]
    return SeenInTraining(replace(items, products=[*items.products, *own]))


def _exposed(records: Sequence[CaptionRecord]) -> Exposed:
    """What may leak of records with references; those of earlier versions do not tell their photos."""
    photos = [record.photo_digest for record in records]
    return Exposed(
        captions=[text for record in records for text in record.references],
        products=[record.product_id for record in records],
        photos=photos if all(photos) else None,
    )


def leak_note(system: CaptioningSystem) -> str | None:
    """What is unknown of the system's training; None if all is known."""
    if system.adapter and system.trained_on is None:
        return (
            f"The adapter {base_name(system.adapter)} is in no run's folder, so what it was trained on is unknown: "
            "seen items and the leak audit are those of the catalogue's own training split."
        )
    return _start_note(system.training.init_from if system.training else None)


def _start_note(start: Mapping[str, Any] | None) -> str | None:
    if not start or start.get(KNOWN):
        return None
    return (
        f"Training began from the adapter {adapter_name(start['adapter'])}, and part of what it was trained on "
        "is unknown: seen items and the leak audit are those of what is known."
    )


def with_exposure(start: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a run records of its start adapter, with whether all items that it was trained on are known.

    They are if the adapter is in a run's folder, and that run began from no other adapter, or from one of such a run.
    """
    if start is None:
        return None
    run = run_of(adapter_folder(start["adapter"]))
    training = read_training(run)
    before = training.init_from if training else {}
    return start | {KNOWN: RunFolder(run).trained_on.is_file() and (not before or bool(before.get(KNOWN)))}


def keep_trained_on(folder: Path, prepared: Prepared, start: dict[str, Any] | None) -> None:
    """Write the items that a run is trained on, and those that its start adapter was trained on, if known."""
    rows = prepared.splits["train"].select_columns(["id", "product_id", "photo_digest", "caption"]).to_list()
    items = {
        row["id"]: CaptionRecord(
            row["id"], product_id=row["product_id"], photo_digest=row["photo_digest"], references=(row["caption"],)
        )
        for row in rows
    }
    if start:
        earlier = RunFolder(run_of(adapter_folder(start["adapter"]))).trained_on
        records = read_records(earlier) if earlier.is_file() else []
        _add(items, records)
        print(_start_note(start) or f"began from an adapter: its {len(records):,} training items count as seen too")
    write_records(RunFolder(folder).trained_on, items.values())


def _add(items: dict[str, CaptionRecord], earlier: Iterable[CaptionRecord]) -> None:
    """Add the items that are missing; an id that another item has gets a prefix."""
    for record in earlier:
        added = record
        while items.setdefault(added.id, added) != added:
            added = replace(added, id=f"{START}/{added.id}")
