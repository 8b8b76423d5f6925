"""How tables of this room print estimates."""

from collections.abc import Mapping, Sequence

from recommend.evaluation.estimates import Estimate


def percentage(estimate: Estimate) -> str:
    """The value in percent; a dash if no query counts."""
    return "–" if estimate.value is None else f"{100 * estimate.value:.1f}"


def interval(estimate: Estimate) -> str:
    """The 95% interval in percent."""
    if estimate.low is None or estimate.high is None:
        return "–"
    return f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}"


def with_intervals(estimates: Mapping[str, Estimate], names: Sequence[str]) -> list[str]:
    """Values with their intervals, in the order of `names`."""
    return [f"{percentage(estimates[name])} ({interval(estimates[name])})" for name in names]
