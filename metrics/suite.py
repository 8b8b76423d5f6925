"""One pass over all systems: tokenise once, run the measures, score every slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from metrics.bleu import bleu, bleu_per_item, bleu_statistics
from metrics.captions import CaptionRecord
from metrics.cider import Cider
from metrics.errors import UserError
from metrics.ngrams import Integers, NgramTable
from metrics.rouge import rouge_per_item
from metrics.systems import System, reference_items
from metrics.tokenization import TOKENIZER, tokenize

# Later measures (METEOR, SPICE, category, attributes) join here and in `_measure`.
MEASURES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
SLICES = ("all", "seen", "unseen")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of one system on one slice.

    Attributes:
        value: the corpus value, 0..1 (CIDEr 0..10); papers print it x100.
        per_item: (n,) each item's own value, in the items' order.
        signature: measure, tokenizer, references per item, n, where CIDEr's document frequencies come from, version.
    """

    value: float
    per_item: Floats
    signature: str


@dataclass(frozen=True, slots=True)
class SystemScores:
    """One system's scores.

    Attributes:
        system: the system.
        missing: ids without a caption; they score 0.
        empty: ids whose caption is empty or white space.
        scores: slice to measure to score.
    """

    system: System
    missing: tuple[str, ...]
    empty: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Score]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All systems on the same items.

    Attributes:
        items: the reference set, n records without captions.
        slices: slice name to the positions of its items; a slice without items is left out.
        results: one entry a system, baselines first.
    """

    items: Sequence[CaptionRecord]
    slices: Mapping[str, Integers]
    results: Sequence[SystemScores]


def score_captions(captions: Sequence[CaptionRecord], references: Sequence[CaptionRecord] | None = None) -> Evaluation:
    """Score one system's captions, against `references` or those in the records themselves.

    Raises:
        UserError: as `score_systems`, and when an id comes twice.
    """
    by_id = {record.id: record for record in captions}
    if len(by_id) < len(captions):
        raise UserError("an id comes twice among the captions; keep one caption for each item")
    return score_systems([System("captions", by_id)], references)


def score_systems(systems: Sequence[System], references: Sequence[CaptionRecord] | None = None) -> Evaluation:
    """Score systems side by side on the same items.

    A missing caption scores 0 in every measure. CIDEr's document frequencies come from all items' references, on
    slices too.

    Raises:
        UserError: when there is nothing to score, ids or references do not fit (`reference_items`), or the
            tokeniser fails.
    """
    items = reference_items(systems, references)
    if not items or not systems:
        raise UserError("there is nothing to score: no items or no systems")
    candidates = [[_caption(system, item.id) for item in items] for system in systems]
    tokenised = _tokenise([list(item.references) for item in items], candidates)
    slices = _slices(items)
    results = [
        _score_system(system, items, measured, slices)
        for system, measured in zip(systems, _measure_all(systems, items, *tokenised), strict=True)
    ]
    return Evaluation(items, slices, results)


@dataclass(frozen=True, slots=True)
class _Measured:
    """One system's per-item statistics: BLEU counts (n, 10), and each measure's values (n,)."""

    bleu_counts: Integers
    per_item: Mapping[str, Floats]


def _caption(system: System, key: str) -> str:
    record = system.captions.get(key)
    return record.caption or "" if record else ""


def _tokenise(references: list[list[str]], candidates: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    groups = [*references, *candidates]
    tokens = iter(tokenize([text for group in groups for text in group]))
    tokenised = [[next(tokens) for _ in group] for group in groups]
    return tokenised[: len(references)], tokenised[len(references) :]


def _slices(items: Sequence[CaptionRecord]) -> dict[str, Integers]:
    seen = [item.seen for item in items]
    members = {
        "all": np.arange(len(items)),
        "seen": np.array([place for place, flag in enumerate(seen) if flag is True], dtype=np.int64),
        "unseen": np.array([place for place, flag in enumerate(seen) if flag is False], dtype=np.int64),
    }
    return {name: members[name] for name in SLICES if len(members[name])}


def _measure_all(
    systems: Sequence[System],
    items: Sequence[CaptionRecord],
    references: list[list[str]],
    candidates: list[list[str]],
) -> list[_Measured]:
    table = NgramTable(text for group in (*references, *candidates) for text in group)
    cider = Cider(references, table)
    measured = []
    for system, captions in zip(systems, candidates, strict=True):
        present = np.array([item.id in system.captions for item in items])
        measured.append(_measure(captions, references, table, cider, present))
    return measured


def _measure(
    captions: list[str], references: list[list[str]], table: NgramTable, cider: Cider, present: NDArray[np.bool_]
) -> _Measured:
    counts = bleu_statistics(captions, references, table)
    values = dict(zip(MEASURES, bleu_per_item(counts).T, strict=False))
    values["ROUGE-L"] = rouge_per_item(captions, references)
    values["CIDEr"] = cider.per_item(captions)
    # An empty caption against an empty reference has ROUGE-L 1; a caption that is not there has nothing.
    return _Measured(counts, {name: np.where(present, value, 0.0) for name, value in values.items()})


def _score_system(
    system: System, items: Sequence[CaptionRecord], measured: _Measured, slices: Mapping[str, Integers]
) -> SystemScores:
    return SystemScores(
        system,
        missing=tuple(item.id for item in items if item.id not in system.captions),
        empty=tuple(key for key, record in system.captions.items() if not (record.caption or "").strip()),
        scores={name: _score_slice(measured, items, places) for name, places in slices.items()},
    )


def _score_slice(measured: _Measured, items: Sequence[CaptionRecord], places: Integers) -> dict[str, Score]:
    corpus = dict(zip(MEASURES, bleu(measured.bleu_counts[places].sum(axis=0)), strict=False))
    scores = {}
    for measure in MEASURES:
        per_item = measured.per_item[measure][places]
        value = corpus[measure] if measure in corpus else float(np.mean(per_item))
        scores[measure] = Score(value, per_item, _signature(measure, items, places))
    return scores


def _signature(measure: str, items: Sequence[CaptionRecord], places: Integers) -> str:
    counts = [len(items[place].references) for place in places]
    low, high = min(counts), max(counts)
    parts = [
        "CIDEr-D" if measure == "CIDEr" else measure,
        f"tok:{TOKENIZER}",
        f"refs:{low}" if low == high else f"refs:{low}-{high}",
        f"n:{len(places)}",
        *([f"df:{len(items)}"] if measure == "CIDEr" else []),
        f"lookbook:{installed_version()}",
    ]
    return "|".join(parts)


def installed_version() -> str:
    """Return the version of the `lookbook` distribution, `unknown` where the package runs uninstalled."""
    try:
        return version("lookbook")
    except PackageNotFoundError:
        return "unknown"
