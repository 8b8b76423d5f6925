"""Counts each kind of error: its rate by system and slice, the words concerned, and examples."""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from metrics.measures.proportions import proportion_interval
from metrics.measures.statistics import Floats
from metrics.records.captions import CaptionRecord
from metrics.reports.findings.kinds import KINDS, Case, Found, Kind, Limits
from metrics.reports.findings.reading import Reading, read
from metrics.scoring.suite import Evaluation, SystemScores
from metrics.text.ngrams import Integers
from metrics.text.spelling import plain_spelling

_SEED = 42
_EXAMPLES = 5
_LISTED = 20
_CHARACTERS = 600
_PERCENTILE = 99
_RECENT = 5_000
_PROMPT_WORDS = 3
_DESCRIBED = ("name", "title", "rule", "by_slice")
_ABSENT = {
    "training": "the training captions were not given (--training)",
    "category": "Acc was not measured",
}


class Readings(dict[str, Reading]):
    """What each text says; a text is read when it is first asked for."""

    def __missing__(self, text: str) -> Reading:
        """Read the text."""
        self[text] = read(text)
        return self[text]


def count_findings(evaluation: Evaluation, training: Collection[str] | None = None) -> dict[str, Any]:
    """Count every kind of error in the captions of every system, and in the references where a kind can be in them.

    Rates are of the captions that a kind applies to; an item without a caption, or with an empty one, is left out. The
    references' rate is the mean over items of the share of an item's references.

    Args:
        evaluation: a scoring; its clusters give the intervals.
        training: the captions that the systems were trained on, None if they are not known.

    Returns:
        JSON: `kinds` (`name`, `title`, `rule`, `by_slice`), `absent` (title to reason), `longest` (words that 99% of
        the references do not exceed; None without references), `references` (kind to slice to rate) and `systems`: for
        each, in order, kind to `rates` (by slice: `n`, `count`, `rate` and its 95% `interval`), `most_frequent` words,
        each with the `count` of items, and `examples`.
    """
    references = Readings()
    limits = Limits(_longest(evaluation, references), _plain(training))
    kinds = [kind for kind in KINDS if _has(kind, evaluation, limits)]
    return {
        "kinds": [{name: getattr(kind, name) for name in _DESCRIBED} for kind in kinds],
        "absent": {kind.title: _ABSENT[kind.needs] for kind in KINDS if kind.needs and kind not in kinds},
        "longest": limits.longest,
        "references": _of_references(kinds, evaluation, references, limits),
        "systems": [_of_system(kinds, evaluation, result, references, limits) for result in evaluation.results],
    }


def _plain(training: Collection[str] | None) -> frozenset[str] | None:
    return None if training is None else frozenset(map(plain_spelling, training))


def _has(kind: Kind, evaluation: Evaluation, limits: Limits) -> bool:
    if kind.needs == "training":
        return limits.training is not None
    return kind.needs is None or "predicted" in evaluation.results[0].per_item


def _longest(evaluation: Evaluation, references: Readings) -> int | None:
    lengths = [references[text].length for item in evaluation.items for text in item.references]
    return int(np.percentile(lengths, _PERCENTILE, method="inverted_cdf")) if lengths else None


def _of_system(
    kinds: Sequence[Kind], evaluation: Evaluation, result: SystemScores, references: Readings, limits: Limits
) -> dict[str, Any]:
    limits = replace(limits, prompts=_prompt_lines(result))
    found: dict[str, list[Found | None]] = {kind.name: [] for kind in kinds}
    for case in _cases(evaluation, result, references):
        for kind in kinds:
            found[kind.name].append(kind.of(case, limits) if case else None)
    return {name: _account(evaluation, result, of_kind) for name, of_kind in found.items()}


def _prompt_lines(result: SystemScores) -> list[str]:
    """The lines of the system's prompt that nobody would write by chance."""
    prompt = (result.system.run and result.system.run.prompt) or ""
    lines = [line.strip().lower() for line in prompt.splitlines()]
    return [line for line in lines if len(line.split()) >= _PROMPT_WORDS]


def _cases(evaluation: Evaluation, result: SystemScores, references: Readings) -> Iterator[Case | None]:
    """Each item's case, None without a caption."""
    recent = lru_cache(_RECENT)(read)  # a system may write the same caption for many items
    predicted = result.per_item.get("predicted")
    for place, item in enumerate(evaluation.items):
        record = result.system.captions.get(item.id) or CaptionRecord(item.id)
        text = (record.caption or "").strip()
        theirs = [references[reference] for reference in item.references]
        category = predicted[place] if predicted else None
        ours = references[text] if text in references else recent(text)
        yield Case(text, ours, theirs, item.category, category, record.finished) if text else None


def _account(evaluation: Evaluation, result: SystemScores, found: Sequence[Found | None]) -> dict[str, Any]:
    """What one kind comes to in one system; `found` is each item's."""
    values = np.array([np.nan if words is None else float(bool(words)) for words in found])
    places = [place for place, words in enumerate(found) if words]
    listed = Counter(words for place in places for words in found[place] or ())
    shown = sorted(random.Random(_SEED).sample(places, min(_EXAMPLES, len(places))))  # noqa: S311
    return {
        "rates": {name: {**rate, "count": int(np.nansum(values[of]))} for name, of, rate in _rates(evaluation, values)},
        "most_frequent": [{"words": [*map(_cut, words)], "count": n} for words, n in listed.most_common(_LISTED)],
        "examples": [_example(evaluation.items[place], result, found[place] or ()) for place in shown],
    }


def _rates(evaluation: Evaluation, values: Floats) -> Iterator[tuple[str, Integers, dict[str, Any]]]:
    """Each slice, the places of its items, and the rate among them of items' values."""
    for name, places in evaluation.slices.items():
        interval = proportion_interval(values[places], evaluation.clusters[name].labels)
        counted = int((~np.isnan(values[places])).sum())
        rate = float(np.nanmean(values[places])) if counted else None
        yield name, places, {"n": counted, "rate": rate, "interval": interval and list(interval)}


def _example(item: CaptionRecord, result: SystemScores, words: Found) -> dict[str, Any]:
    return {
        "id": item.id,
        "caption": _cut(result.system.captions[item.id].caption or ""),
        "references": [*map(_cut, item.references[:_EXAMPLES])],
        "words": [[*map(_cut, one)] for one in words[:_EXAMPLES]],
    }


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"


def _of_references(
    kinds: Sequence[Kind], evaluation: Evaluation, references: Readings, limits: Limits
) -> dict[str, dict[str, Any]]:
    rates = {}
    cases = {text: Case(text, reading, ()) for text, reading in references.items()}
    for kind in kinds:
        if kind.needs == "category":
            rates[kind.name] = _classifier_errors(evaluation)
        elif kind.in_references:
            values = np.array([*_shares(kind, evaluation.items, cases, limits)])
            rates[kind.name] = {name: rate for name, _, rate in _rates(evaluation, values)}
    return rates


def _shares(kind: Kind, items: Sequence[CaptionRecord], cases: Mapping[str, Case], limits: Limits) -> Iterator[float]:
    """The share of each item's references that a kind is found in, NaN without references."""
    has = {text: bool(kind.find(case, limits)) for text, case in cases.items()}
    for item in items:
        found = [has[text] for text in item.references]
        yield sum(found) / len(found) if found else np.nan


def _classifier_errors(evaluation: Evaluation) -> dict[str, Any]:
    """How often the classifier misreads the references, by slice; empty if that is unknown."""
    accuracy = evaluation.results[0].details.get("Acc", {}).get("accuracy_of_references", {})
    return {name: {"n": None, "rate": 1 - value, "interval": None} for name, value in accuracy.items()}
