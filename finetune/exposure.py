"""What a trained system has seen of the items it captions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from finetune.preparation import Prepared
from finetune.runs import System, account_of
from metrics.captions import CaptionRecord, read_records


def as_seen_by(
    system: System, prepared: Prepared, items: Sequence[CaptionRecord]
) -> tuple[list[CaptionRecord], dict[str, Any]]:
    """The items with `seen` as it holds for this system, and the account for its `run.json`.

    Where a run captions another catalogue or split than it was trained on, `seen` and the leak audit are taken against
    the run's own training items, not against the training split that stands beside the items. Siblings of an item are
    looked for in the catalogue of the same name where a run was trained on several.
    """
    account = account_of(prepared)
    if system.trained_on is None or system.training["catalogue_fingerprint"] == prepared.account["fingerprint"]:
        return list(items), account
    trained = read_records(system.trained_on)
    captions = {reference for record in trained for reference in record.references}
    products = {record.product_id for record in trained}
    several = isinstance(system.training["recipe"]["data"], list)
    prefix = f"{prepared.account['name']}/" if several else ""
    marked = [replace(item, seen=item.references[0] in captions if item.references else None) for item in items]
    described = [item for item in marked if item.references]
    audit = {
        "test_items": len(described),
        "captions_in_train": _share([bool(item.seen) for item in described]),
        "siblings_in_train": _share([f"{prefix}{item.product_id}" in products for item in described]),
        "test_captions": len({item.references for item in described}),
    }
    return marked, account | {"leak_audit": audit}


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
