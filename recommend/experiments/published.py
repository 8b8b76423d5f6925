"""The paper's Table 5, `published.csv`."""

from dataclasses import dataclass
from functools import cache

from metrics.common.published import published_figures

MEASURES = ("nDCG@5", "nDCG@12", "MAP@5", "MAP@12")
SOURCE = (
    "Rippberger and Neidhardt: Comparative Analysis of Fashion Captioning for Multimodal Fashion Recommendation, "
    "CEUR Workshop Proceedings 4188 (2026), Table 5"
)


@dataclass(frozen=True)
class PublishedRow:
    """One row on one of the two data sets; `scores` are 0..1, MAP is the mean of precision@1..k, as Elliot has it."""

    dataset: str
    setting: str
    scores: dict[str, float]


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All rows in the paper's order."""
    return tuple(
        PublishedRow(row["dataset"], row["setting"], {name: float(row[name]) for name in MEASURES})
        for row in published_figures("recommend.experiments")
    )
