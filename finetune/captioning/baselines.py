"""Two systems that do not use the photo, and so measure how far memory alone gets."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.captioning.request import refuse_other_captions
from finetune.data.preparation import Prepared
from finetune.runs.training_record import catalogue_of
from metrics.common.errors import UserError
from metrics.common.files import all_or_none, make_folder
from metrics.common.ownership import Contents
from metrics.records.captions import CaptionRecord, read_captions, write_records
from metrics.records.run import RUN_FILE, RunRecord, read_run
from metrics.text.spelling import plain_spelling

CATEGORY = "category's most frequent caption"
SHUFFLE_SEED = 0
SIBLING = "sibling's caption"
CAPTIONS_FILE = "captions.jsonl"
BASELINES = Contents(dict.fromkeys(("sibling", "category", "nearest", "consensus"), ""))


def write_baselines(prepared: Prepared, folder: Path) -> list[Path]:
    """Write both baselines' captions of the test split, each in a folder of its own with its `run.json`."""
    train, test = described_splits(prepared)
    frequent = most_frequent_captions(train, test)
    systems = {"sibling": (SIBLING, sibling_captions(train, test, frequent)), "category": (CATEGORY, frequent)}
    return [write_baseline(prepared, folder / name, *system) for name, system in systems.items()]


def described_splits(prepared: Prepared) -> tuple[list[CaptionRecord], list[CaptionRecord]]:
    """The items of training and test. Raises `UserError` if one of them has none."""
    train, test = prepared.records("train"), prepared.records("test")
    if not train or not test:
        raise UserError(
            f"catalogue {prepared.account.name}: baselines need captions in training and test; one of them has none"
        )
    return train, test


def most_frequent_captions(train: list[CaptionRecord], items: list[CaptionRecord]) -> list[str]:
    """For each item the most frequent training caption of its category (of all training if the category has none).

    Captions are equal whatever their white space and Unicode form; the first is written.
    """
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    as_written: dict[str, str] = {}
    for record in train:
        for text in record.references:
            counts[record.category][plain_spelling(text)] += 1
            as_written.setdefault(plain_spelling(text), text)
    overall = sum(counts.values(), Counter[str]())
    best = {category: as_written[_most_frequent(counter)] for category, counter in counts.items()}
    best_overall = as_written[_most_frequent(overall)]
    return [best.get(item.category, best_overall) for item in items]


def _most_frequent(counter: Counter[str]) -> str:
    return counter.most_common(1)[0][0]


def sibling_captions(train: list[CaptionRecord], items: list[CaptionRecord], otherwise: list[str]) -> list[str]:
    """For each item the training caption of an article of the same product, the first one; else `otherwise`."""
    siblings: dict[str | None, str] = {}
    for record in train:
        siblings.setdefault(record.product_id, record.references[0])
    return [siblings.get(item.product_id, caption) for item, caption in zip(items, otherwise, strict=True)]


def _given(record: CaptionRecord, caption: str | None) -> CaptionRecord:
    return replace(record, caption=caption, logprob=None, tokens=None, finished=None)


def write_baseline(
    prepared: Prepared, folder: Path, title: str, captions: Sequence[str], lookup: Mapping[str, Any] | None = None
) -> Path:
    """Write a baseline's captions of the test split with their `run.json`; `lookup` as in `RunRecord`.

    Raises `UserError` if other captions are there, or if a file cannot be written.
    """
    make_folder(folder)
    path = folder / CAPTIONS_FILE
    refuse_other_captions(path)
    items = prepared.each_record("test")
    record = RunRecord(system=title, kind="baseline", file=path.name, lookup=lookup or {}, **catalogue_of(prepared))
    with all_or_none():
        write_records(path, (replace(item, caption=caption) for item, caption in zip(items, captions, strict=True)))
        record.write(folder / RUN_FILE)
    return path


def write_shuffled(captions: Path, folder: Path) -> Path:
    """Write a system's captions assigned to other items: what it scores if every photo is another item's.

    The control that a model uses its photos: each caption depends on its photo alone, so shuffling the captions is
    captioning with the photos shuffled. No item keeps its own. Raises `UserError` as `write_baseline`.
    """
    records = read_captions(captions)
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(records))
    given = {int(to): records[giver].caption for to, giver in zip(order, np.roll(order, 1), strict=True)}
    make_folder(folder)
    path = folder / CAPTIONS_FILE
    refuse_other_captions(path)
    run = read_run(captions) or RunRecord(system="captions")
    control = RunRecord(
        system=f"{run.system}, photos shuffled",
        kind="control",
        file=path.name,
        catalogue=run.catalogue,
        leak_audit=run.leak_audit,
    )
    with all_or_none():
        write_records(path, [_given(record, given[place]) for place, record in enumerate(records)])
        control.write(folder / RUN_FILE)
    return path
