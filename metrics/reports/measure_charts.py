"""The further results of measures as charts and tables of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metrics.common.charts import HEIGHT, WIDTH, Chart, Tick, across, down
from metrics.common.formatting import percent

_CATEGORIES = 15
OTHERS = "all others"
_LARGEST = 9.0
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dot:
    """One attribute: its place and radius in SVG units, and its tooltip."""

    x: float
    y: float
    radius: float
    title: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of (true, predicted) category: the most frequent ones, all others as the last.

    Attributes:
        labels: k names.
        counts: (k, k), a row for each true category.
        shares: the same as shares of their row's sum, 0..1.
    """

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]
    shares: Sequence[Sequence[float]]


def attribute_dots(details: Json) -> list[Dot]:
    """Return one dot for each attribute of the references: recall across, precision up, area by support."""
    rows = [row for row in details["per_attribute"] if row["support"]]
    most = max((row["support"] for row in rows), default=1)
    return [
        Dot(
            across(row["recall"], (0.0, 1.0)),
            down(row["precision"] or 0.0, (0.0, 1.0)),
            round(1.5 + (_LARGEST - 1.5) * (row["support"] / most) ** 0.5, 1),
            f"{row['attribute']}: precision {percent(row['precision'])}, recall {row['recall']:.1%}, "
            f"in {row['support']:,} references",
        )
        for row in rows
    ]


def attribute_axes() -> Chart:
    """Return axes from 0 to 100 for `attribute_dots`."""
    shares = [place / 5 for place in range(6)]
    return Chart(
        curves=(),
        x_ticks=[Tick(f"{share * 100:.0f}", across(share, (0.0, 1.0))) for share in shares],
        y_ticks=[Tick(f"{share * 100:.0f}", down(share, (0.0, 1.0))) for share in shares],
        x_label="recall",
        width=WIDTH,
        height=HEIGHT,
    )


def confusion(details: Json) -> Confusion:
    """Return the confusion matrix of the most frequent true categories, with all others in one row and column."""
    support: dict[str, int] = {}
    labels = details["confusion"]["labels"]
    pairs = [(labels[true], labels[read], count) for true, read, count in details["confusion"]["counts"]]
    for true, _, count in pairs:
        support[true] = support.get(true, 0) + count
    frequent = sorted(support, key=lambda label: (-support[label], label))[:_CATEGORIES]
    place = {label: number for number, label in enumerate(frequent)}
    counts = [[0] * (len(frequent) + 1) for _ in range(len(frequent) + 1)]
    for true, predicted, count in pairs:
        counts[place.get(true, len(frequent))][place.get(predicted, len(frequent))] += count
    if not any(counts[-1]) and not any(row[-1] for row in counts):
        counts = [row[:-1] for row in counts[:-1]]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    return Confusion([*frequent, OTHERS][: len(counts)], counts, shares)
