"""What a trained system has seen of the items it captions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.data.preparation import Prepared
from finetune.models.adapter_files import adapter_folder, adapter_name, run_of
from finetune.models.loading import base_name
from finetune.runs.folder import START, TRAINED_ON, account_of, read_training
from finetune.runs.system import CaptioningSystem
from metrics.records.captions import CaptionRecord, read_records, write_records

KNOWN = "is_known"


def as_seen_by(
    system: CaptioningSystem, prepared: Prepared, items: Sequence[CaptionRecord]
) -> tuple[list[CaptionRecord], dict[str, Any]]:
    """The items with `seen` as it holds for this system, and the account for its `run.json`.

    Where a run captions another catalogue or split than it was trained on, or began from an adapter, `seen` and the
    leak audit are taken against all items that it was trained on, not against the training split that stands beside
    the items. The account's `leak_note` says what of its training nobody knows.
    """
    account, note = account_of(prepared), leak_note(system)
    account |= {"leak_note": note} if note else {}
    is_own_split = system.training.get("catalogue_fingerprint") == prepared.account["fingerprint"]
    if system.trained_on is None or (is_own_split and not system.training.get(START)):
        return list(items), account
    marked, audit = audited(prepared, items, system.trained_on)
    return marked, account | {"leak_audit": audit}


def audited(
    prepared: Prepared, items: Sequence[CaptionRecord], trained_on: Path
) -> tuple[list[CaptionRecord], dict[str, float]]:
    """The items with `seen` told against those of the file `trained_on`, and their leak audit.

    Siblings of an item are looked for in the catalogue of the same name where training was on several.
    """
    trained = read_records(trained_on)
    captions = {reference for record in trained for reference in record.references}
    products = {record.product_id for record in trained}
    marked = [replace(item, seen=item.references[0] in captions if item.references else None) for item in items]
    described = [item for item in marked if item.references]
    names = [{item.product_id, f"{prepared.account['name']}/{item.product_id}"} for item in described]
    return marked, {
        "test_items": len(described),
        "captions_in_train": _share([bool(item.seen) for item in described]),
        "siblings_in_train": _share([bool(of_item & products) for of_item in names]),
        "test_captions": len({item.references for item in described}),
    }


def leak_note(system: CaptioningSystem) -> str | None:
    """What nobody knows of the system's training; None where all is known."""
    if system.adapter and system.trained_on is None:
        return (
            f"The adapter {base_name(system.adapter)} lies in no run's folder, so nobody knows what it was trained "
            "on: seen items and the leak audit are told against the catalogue's own training split."
        )
    return _start_note(system.training.get(START))


def _start_note(start: dict[str, Any] | None) -> str | None:
    if not start or start.get(KNOWN):
        return None
    return (
        f"Training began from the adapter {adapter_name(start['adapter'])}, and nobody knows all that it was trained "
        "on: seen items and the leak audit are told against what is known."
    )


def with_exposure(start: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a run keeps of the adapter that it begins from, with whether all items are known that this was trained on.

    They are where it lies in a run's folder, and that run itself began from no other than such.
    """
    if start is None:
        return None
    run = run_of(adapter_folder(start["adapter"]))
    before = (read_training(run) or {}).get(START)
    return start | {KNOWN: (run / TRAINED_ON).is_file() and (not before or bool(before.get(KNOWN)))}


def keep_trained_on(folder: Path, prepared: Prepared, start: dict[str, Any] | None) -> None:
    """Write the items that a run is trained on, and those that the adapter was that it begins from, as far as known."""
    rows = prepared.splits["train"].select_columns(["id", "product_id", "caption"]).to_list()
    items = {
        row["id"]: CaptionRecord(row["id"], product_id=row["product_id"], references=(row["caption"],)) for row in rows
    }
    if start:
        earlier = run_of(adapter_folder(start["adapter"])) / TRAINED_ON
        found = read_records(earlier) if earlier.is_file() else []
        _add(items, found)
        print(_start_note(start) or f"began from an adapter: its {len(found):,} training items count as seen too")
    write_records(folder / TRAINED_ON, items.values())


def _add(items: dict[str, CaptionRecord], earlier: Iterable[CaptionRecord]) -> None:
    """Add what is not there yet; an id that another item has is told apart."""
    for record in earlier:
        added = record
        while items.setdefault(added.id, added) != added:
            added = replace(added, id=f"{START}/{added.id}")


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
