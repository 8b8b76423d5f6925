"""Two systems that look at no picture, and so measure how far memory alone gets."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from finetune.prepare import Prepared
from finetune.runs import account_of, write_run
from metrics.captions import CaptionRecord, write_records
from metrics.errors import UserError

CATEGORY = "category's most frequent caption"
SIBLING = "sibling's caption"


def write_baselines(prepared: Prepared, folder: Path) -> list[Path]:
    """Write both baselines' captions of the test split, each in a folder of its own with its `run.json`."""
    train, test = prepared.records("train"), prepared.records("test")
    if not train or not test:
        raise UserError("baselines need captions in training and test; this catalogue has none in one of them")
    frequent = most_frequent_captions(train, test)
    systems = {"sibling": (SIBLING, sibling_captions(train, test, frequent)), "category": (CATEGORY, frequent)}
    return [_write(prepared, folder / name, title, test, captions) for name, (title, captions) in systems.items()]


def most_frequent_captions(train: list[CaptionRecord], items: list[CaptionRecord]) -> list[str]:
    """For each item the most frequent training caption of its category (of all training where it has none)."""
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for record in train:
        counts[record.category].update(record.references)
    overall = sum(counts.values(), Counter[str]())
    best = {category: counter.most_common(1)[0][0] for category, counter in counts.items()}
    return [best.get(item.category, overall.most_common(1)[0][0]) for item in items]


def sibling_captions(train: list[CaptionRecord], items: list[CaptionRecord], otherwise: list[str]) -> list[str]:
    """For each item the training caption of an article of the same product, the first one; else `otherwise`."""
    siblings: dict[str | None, str] = {}
    for record in train:
        siblings.setdefault(record.product_id, record.references[0])
    return [siblings.get(item.product_id, caption) for item, caption in zip(items, otherwise, strict=True)]


def _write(prepared: Prepared, folder: Path, title: str, items: list[CaptionRecord], captions: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "captions.jsonl"
    write_records(path, [replace(item, caption=caption) for item, caption in zip(items, captions, strict=True)])
    write_run(folder, {"system": title, "kind": "baseline", **account_of(prepared)})
    return path
