"""The scores of the reproduced paper, `published.csv`, and its definition of improvement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from metrics.common.published import published_figures

SOURCE = (
    "Rippberger and Neidhardt: Comparative Analysis of Fashion Captioning for Multimodal Fashion Recommendation, "
    "CEUR Workshop Proceedings 4188 (2026), Tables 3 and 4"
)
MEASURES = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "MAP", "MAR", "Acc")
IMPROVED = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "MAP", "Acc")
# What the paper calls systems, and the `kind` of our runs.
KIND = {"PT": "pretrained", "FT": "finetuned"}
# The catalogue and the number of test items that each table was measured on, and how their split was made.
MEASURED_ON = {"H&M": ("hm", 10_424), "FACAD": ("facad", 101_225)}
SPLIT = {"method": "published", "train": 0.8, "validation": 0.1, "seed": 42}

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
    return tuple(
        PublishedRow(
            row["dataset"], row["model"], row["setting"], {name: float(row[name]) for name in MEASURES if row[name]}
        )
        for row in published_figures("metrics.reports")
    )


def is_published_split(split: Mapping[str, Any]) -> bool:
    """Return whether a recipe's `split` is the published one; other keys, such as `version`, do not change it."""
    return SPLIT.items() <= split.items()


def improvement(before: Scores, after: Scores, measures: Sequence[str] = IMPROVED) -> float | None:
    """The paper's "% Impr.": the mean over the measures of (after / before - 1) x 100, both as printed, x100.

    None if a value is missing or starts from 0.
    """
    if not measures or any(not before.get(name) or name not in after for name in measures):
        return None
    return 100 * sum(after[name] / before[name] - 1 for name in measures) / len(measures)


def improvable(before: Scores, after: Scores) -> list[str]:
    """The measures of "% Impr." that both have and that do not start from 0, as printed."""
    return [name for name in IMPROVED if before.get(name) and name in after]


def printed(value: float) -> float:
    """A score (0..1) as the paper prints it: x100, with one decimal."""
    return round(100 * value, 1)


def unlike_published(
    dataset: str, name: str | None, split: str | None, as_published: bool, test_items: int
) -> str | None:
    """Return why scores are not comparable with the published ones, None if they are.

    `name` and `split` (its method) are of the catalogue that they were measured on, None if unknown;
    `as_published` is whether its split has the published shares and seed.
    """
    theirs, items = MEASURED_ON[dataset]
    if (name, split, as_published, test_items) == (theirs, SPLIT["method"], True, items):
        return None
    how = f"the {split} split" if split else "an unknown split"
    own = " with other shares or seed" if split == SPLIT["method"] and not as_published else ""
    where = f"catalogue {name!r}" if name else "an unknown catalogue"
    return (
        f"Our scores are not comparable with the published ones: those are of the published split of {dataset} "
        f"({items:,} test items), ours of {how}{own} of {where} ({test_items:,} test items)."
    )
