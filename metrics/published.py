"""The figures of the paper that is reproduced: `published.csv`, and its measure of improvement."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = (
    "Rippberger and Neidhardt: Comparative Analysis of Fashion Captioning for Multimodal Fashion Recommendation, "
    "CEUR Workshop Proceedings 4188 (2026), Tables 3 and 4"
)
MEASURES = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "MAP", "MAR", "Acc")
IMPROVED = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "MAP", "Acc")

Scores = Mapping[str, float]


@dataclass(frozen=True)
class PublishedRow:
    """One row: `setting` is PT (pre-trained), FT (fine-tuned) or empty (other people's models); `scores` are x100."""

    dataset: str
    model: str
    setting: str
    scores: Scores


@cache
def published_scores() -> tuple[PublishedRow, ...]:
    """All rows in the paper's order."""
    lines = Path(__file__).with_name("published.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return tuple(
        PublishedRow(
            row["dataset"], row["model"], row["setting"], {name: float(row[name]) for name in MEASURES if row[name]}
        )
        for row in rows
    )


def improvement(before: Scores, after: Scores, measures: Sequence[str] = IMPROVED) -> float | None:
    """The paper's "% Impr.": the mean over the measures of (after / before - 1) x 100, both as printed, x100.

    None where a value is missing or starts from 0.
    """
    if not measures or any(not before.get(name) or name not in after for name in measures):
        return None
    return 100 * sum(after[name] / before[name] - 1 for name in measures) / len(measures)
