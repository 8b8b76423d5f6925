"""Geometry of scatter plots: points of several kinds in a box, with or without axes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metrics.common.charts import Chart, Tick, across, axis_ticks, down, padded

KINDS = 12
OTHERS = "others"


@dataclass(frozen=True)
class Dot:
    """A point in SVG units, and what it is."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Kind:
    """Points of one colour; `hue` in degrees, None for grey."""

    name: str
    hue: int | None
    dots: Sequence[Dot]
    labelled: bool = False


@dataclass(frozen=True)
class Scatter:
    """Kinds of points under a caption, in the box and on the axes of `frame`; axes without ticks are not drawn."""

    caption: str
    kinds: Sequence[Kind]
    frame: Chart = field(default_factory=lambda: Chart((), (), (), ""))


def coloured_map(caption: str, points: NDArray[np.float32], values: Sequence[str], labels: Sequence[str]) -> Scatter:
    """A map of points (n, 2) coloured by their values: the 12 most frequent, all others in grey."""
    counts = Counter(value for value in values if value)
    shown = sorted(counts, key=lambda value: (-counts[value], value))[:KINDS]
    dots: dict[str, list[Dot]] = {value: [] for value in (OTHERS, *shown)}
    ranges = [padded([float(low), float(high)], 0.03) for low, high in zip(points.min(0), points.max(0), strict=True)]
    for (x, y), value, label in zip(points.tolist(), values, labels, strict=True):
        kind = value if value in shown else OTHERS
        dots[kind].append(Dot(across(x, ranges[0]), down(y, ranges[1]), label))
    hues = {value: place * 360 // max(1, len(shown)) for place, value in enumerate(shown)}
    kinds = [Kind(value, hues.get(value), of_value) for value, of_value in dots.items() if of_value]
    return Scatter(caption, kinds)


def trade_off(caption: str, points: Sequence[tuple[str, float, float]], x_label: str, y_label: str) -> Scatter:
    """Named points (name, x, y) with axes, each labelled by its name."""
    x_range = padded([x for _, x, _ in points], 0.1)
    y_range = padded([y for _, _, y in points], 0.1)
    dots = [Dot(across(x, x_range), down(y, y_range), name) for name, x, y in points]
    x_ticks = [Tick(label, across(value, x_range)) for label, value in axis_ticks(*x_range)]
    y_ticks = [Tick(label, down(value, y_range)) for label, value in axis_ticks(*y_range)]
    frame = Chart((), x_ticks, y_ticks, x_label, y_label)
    return Scatter(caption, [Kind("", 15, dots, labelled=True)], frame)
