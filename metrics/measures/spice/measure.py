"""SPICE 1.0 by its official jar, equal to pycocoevalcap's `Spice` item by item.

Anderson et al. 2016: F-score of the object, attribute and relation tuples that Stanford CoreNLP 3.6.0 finds.
"""

import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.common.drafts import temporary_folder
from metrics.measures.base import Measure, Measured
from metrics.measures.spice.install import COMMAND, jar_folder, lacking
from metrics.measures.spice.parses import parse_cache
from metrics.measures.spice.process import run_spice
from metrics.measures.statistics import mean_of
from metrics.text.corpus import Corpus
from metrics.text.java import find_java, java_version
from metrics.text.tokenization import TOKENIZER

# Parsing time is cubic and memory quadratic in the words, and one caption that does not fit makes the whole jar fail.
LONGEST = 150
_SUBSCORES = {
    "object": "Object",
    "attribute": "Attribute",
    "relation": "Relation",
    "colour": "Color",
    "count": "Cardinality",
    "size": "Size",
}
_SHUFFLE = 1

Item = tuple[str, tuple[str, ...]]
ItemScores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class SpiceScores:
    """The scores of n items.

    Attributes:
        items: the scores of the jar: `All` and six kinds of tuples to `f`, `pr`, `re` and counts (NaN if the references
            have no such tuple).
        uncached: the number of distinct captions that the jar cannot cache and parses in every run: those whose key is
            longer than 511 bytes, which are all of 508 characters and more.
        cut: the number of distinct captions with more than `LONGEST` words, which were cut there.
    """

    items: list[ItemScores]
    uncached: int
    cut: int


def spice_per_item(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> SpiceScores:
    """Score n tokenised candidates; each distinct new text is parsed once, and equal items are scored once.

    Raises:
        UserError: when Java or the jar is missing or fails.
    """
    given = list(zip(candidates, map(tuple, references), strict=True))
    texts = dict.fromkeys(text for candidate, of_item in given for text in (candidate, *of_item))
    short = {text: _cut(text) for text in texts}
    items = [(short[candidate], tuple(short[text] for text in of_item)) for candidate, of_item in given]
    distinct = list(dict.fromkeys(items))
    distinct_scores, uncached = _run(list(dict.fromkeys(short.values())), distinct)
    scores = dict(zip(distinct, distinct_scores, strict=True))
    return SpiceScores(
        [scores[item] for item in items], uncached, sum(text != shortened for text, shortened in short.items())
    )


class Spice(Measure):
    """SPICE of all systems."""

    names = ("SPICE",)
    tokenizer = TOKENIZER
    work = "programs"

    def absent(self) -> str | None:
        """Return how to install CoreNLP if it is missing."""
        return f"not installed, run `{COMMAND}`" if lacking() else None

    def measure(self, corpus: Corpus) -> list[Measured]:
        """Score every caption; a missing one scores 0. The sub-scores are over all items."""
        tokens = corpus.tokens
        given = [caption for captions in tokens.captions for caption in captions]
        scores = spice_per_item(given, tokens.references * len(tokens.captions))
        _warn(scores)
        items = iter(scores.items)
        return [
            _measured(scores, [next(items) for _ in captions], present)
            for captions, present in zip(tokens.captions, corpus.present, strict=True)
        ]


def _measured(scores: SpiceScores, items: Sequence[ItemScores], present: NDArray[np.bool_]) -> Measured:
    per_item = np.where(present, [item["All"]["f"] for item in items], 0.0)
    details = {"subscores": _subscores(items), "uncached": scores.uncached, "cut": scores.cut}
    signature = ("spice:1.0", f"cut:{LONGEST}", f"java:{java_version(find_java())}")
    return Measured({"SPICE": mean_of(per_item)}, signature, details)


def _cut(text: str) -> str:
    return " ".join(text.split(" ")[:LONGEST])


def _run(captions: list[str], items: list[Item]) -> tuple[list[ItemScores], int]:
    """Run the jar; captions are shuffled, so that all batches take about equally long."""
    random.Random(_SHUFFLE).shuffle(captions)  # noqa: S311
    numbered = [{"number": n, "test": test, "references": texts} for n, (test, texts) in enumerate(items)]
    with temporary_folder() as folder, parse_cache() as parses:
        job, scores = folder / "job.json", folder / "scores.json"
        job.write_text(json.dumps({"captions": captions, "items": numbered}), encoding="ascii")
        uncached = run_spice(job, parses, scores, jar_folder())
        lines = scores.read_text(encoding="utf-8").splitlines()
    by_number = {number: item for line in lines for number, item in read_scores(line).items()}
    return [by_number[number] for number in range(len(items))], uncached


def read_scores(text: str) -> dict[int, ItemScores]:
    """Return the scores in a line of the jar's JSON by the number of their item; null is NaN, as in pycocoevalcap."""
    return {item["image_id"]: _numbers(item["scores"]) for item in json.loads(text)}


def _numbers(scores: Mapping[str, Mapping[str, float | None]]) -> ItemScores:
    return {
        kind: {key: np.nan if value is None else float(value) for key, value in of_kind.items()}
        for kind, of_kind in scores.items()
    }


def _subscores(items: Sequence[ItemScores]) -> dict[str, dict[str, float | int | None]]:
    return {name: _subscore([item[kind] for item in items]) for name, kind in _SUBSCORES.items()}


def _subscore(scores: Sequence[Mapping[str, float]]) -> dict[str, float | int | None]:
    defined = np.array([[score[key] for key in ("f", "pr", "re")] for score in scores if not np.isnan(score["f"])])
    means = defined.mean(axis=0).tolist() if len(defined) else [None] * 3
    return {**dict(zip(("f", "precision", "recall"), means, strict=True)), "n": len(defined)}


def _warn(scores: SpiceScores) -> None:
    if scores.uncached:
        print(
            f"SPICE: {scores.uncached} captions are too long for its cache and are parsed in every run", file=sys.stderr
        )
    if scores.cut:
        print(
            f"SPICE: {scores.cut} captions have more than {LONGEST} words; it reads the first {LONGEST}",
            file=sys.stderr,
        )
