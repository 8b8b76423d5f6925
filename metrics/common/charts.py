"""Geometry of the loss curve, of histograms and of curves with intervals, which the templates of the pages draw."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 16, 44
Point = tuple[float, float, float, float]  # x, y, and the interval of y


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis and its place in SVG units."""

    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line: `points` for an SVG polyline, its last value, the (x, y) of its dots, and `band`, the polygon of
    its intervals."""

    name: str
    points: str
    dots: Sequence[tuple[float, float]]
    last: float
    band: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves and axes in a box of `WIDTH` x `HEIGHT` units; the plot is between left/right and top/bottom."""

    curves: Sequence[Curve]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    x_label: str
    y_label: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def loss_chart(history: Sequence[Mapping[str, float]]) -> Chart | None:
    """Return the training and validation loss over steps (over epochs if an entry has no step), None without points."""
    axis = "step" if all("step" in entry for entry in history) else "epoch"
    series = {
        name: sorted((entry[axis], entry[key]) for entry in history if key in entry and axis in entry)
        for name, key in (("training", "loss"), ("validation", "eval_loss"))
    }
    points = [point for values in series.values() for point in values]
    if not points:
        return None
    x_range = padded([x for x, _ in points])
    y_range = padded([y for _, y in points], margin=0.06)
    curves = [_curve(name, values, x_range, y_range) for name, values in series.items() if values]
    x_ticks = [Tick(_label(x), across(x, x_range)) for x in _ticks(*x_range)]
    y_ticks = [Tick(_label(y), down(y, y_range)) for y in _ticks(*y_range)]
    return Chart(curves, x_ticks, y_ticks, axis)


def curves_with_intervals(series: Mapping[str, Sequence[Point]], x_label: str, y_label: str) -> Chart | None:
    """Return each series as a curve in the band of its intervals, which may be empty; None if none has two points."""
    if all(len(values) < 2 for values in series.values()):
        return None
    points = [point for values in series.values() for point in values]
    x_range = padded([x for x, *_ in points])
    y_range = padded([bound for _, _, low, high in points for bound in (low, high)], margin=0.06)
    curves = [_with_band(name, sorted(values), x_range, y_range) for name, values in series.items()]
    x_ticks = [Tick(_label(x), across(x, x_range)) for x in _ticks(*x_range)]
    y_ticks = [Tick(_label(y), down(y, y_range)) for y in _ticks(*y_range)]
    return Chart(curves, x_ticks, y_ticks, x_label, y_label)


def histogram(series: Mapping[str, Mapping[int, int]], x_label: str) -> Chart | None:
    """Return each series of value -> count as the outline of bars in percent of its sum, None without counts.

    All series share bins of 1, 2 or 5 times a power of ten, about 30 of them. A curve's `points` close at the axis,
    and its `last` is the highest bar.
    """
    values = [value for counts in series.values() for value in counts]
    if not values:
        return None
    width = max(1, round(_step(max(values) - min(values) + 1, about=30)))
    edges = range(min(values) // width * width, max(values) + width + 1, width)
    shares = {name: _shares(counts, edges) for name, counts in series.items() if counts}
    x_range, y_range = (edges[0], edges[-1]), (0.0, 1.06 * max(map(max, shares.values())))
    curves = [_outline(name, edges, heights, x_range, y_range) for name, heights in shares.items()]
    x_ticks = [Tick(_label(x), across(x, x_range)) for x in _ticks(*x_range)]
    y_ticks = [Tick(f"{_label(y)}%", down(y, y_range)) for y in _ticks(*y_range)]
    return Chart(curves, x_ticks, y_ticks, x_label)


def _shares(counts: Mapping[int, int], edges: range) -> list[float]:
    """Percent of the counts in each bin, from its edge (included) to the next."""
    bins = [0] * (len(edges) - 1)
    for value, count in counts.items():
        bins[(value - edges.start) // edges.step] += count
    return [100 * count / sum(bins) for count in bins]


def _outline(
    name: str,
    edges: range,
    heights: Sequence[float],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> Curve:
    tops = [(x, height) for left, right, height in zip(edges, edges[1:], heights, strict=False) for x in (left, right)]
    corners = [(edges[0], 0.0), *tops, (edges[-1], 0.0)]
    points = " ".join(f"{across(x, x_range)},{down(y, y_range)}" for x, y in corners)
    return Curve(name, points, (), max(heights))


def _curve(
    name: str, values: Sequence[tuple[float, float]], x_range: tuple[float, float], y_range: tuple[float, float]
) -> Curve:
    dots = [(across(x, x_range), down(y, y_range)) for x, y in values]
    return Curve(name, " ".join(f"{x},{y}" for x, y in dots), dots, values[-1][1])


def _with_band(name: str, values: Sequence[Point], x_range: tuple[float, float], y_range: tuple[float, float]) -> Curve:
    dots = [(across(x, x_range), down(y, y_range)) for x, y, _, _ in values]
    lower = [(across(x, x_range), down(low, y_range)) for x, _, low, _ in values]
    upper = [(across(x, x_range), down(high, y_range)) for x, _, _, high in values]
    line, band = (" ".join(f"{x},{y}" for x, y in corners) for corners in (dots, lower + upper[::-1]))
    return Curve(name, line, dots, values[-1][1] if values else math.nan, band)


def padded(values: Sequence[float], margin: float = 0.0) -> tuple[float, float]:
    """Return the range of the values, with a share of its length as `margin` on both sides; never an empty one."""
    low, high = min(values), max(values)
    room = (high - low) * margin or (0.0 if high > low else max(abs(high), 1.0) / 2)
    return low - room, high + room


def across(x: float, x_range: tuple[float, float]) -> float:
    """Return the place of `x` in SVG units, from left to right."""
    low, high = x_range
    return round(_LEFT + (x - low) / (high - low) * (WIDTH - _LEFT - _RIGHT), 1)


def down(y: float, y_range: tuple[float, float]) -> float:
    """Return the place of `y` in SVG units, from the bottom up."""
    low, high = y_range
    return round(HEIGHT - _BOTTOM - (y - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)


def axis_ticks(low: float, high: float) -> list[tuple[str, float]]:
    """Return the labels and values of an axis from `low` to `high`."""
    return [(_label(value), value) for value in _ticks(low, high)]


def _ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Return round values between `low` and `high`, at steps of 1, 2 or 5 times a power of ten."""
    step = _step(high - low, about)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _step(length: float, about: int) -> float:
    rough = length / about
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def _label(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
