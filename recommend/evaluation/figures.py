"""How tables of this room print estimates."""

from collections.abc import Mapping, Sequence

from recommend.evaluation.estimates import Estimate


def percentage(estimate: Estimate, decimals: int = 1) -> str:
    """The value in percent; a dash if no query counts."""
    return "–" if estimate.value is None else f"{100 * estimate.value:.{decimals}f}"


def interval(estimate: Estimate, decimals: int = 1) -> str:
    """The 95% interval in percent."""
    if estimate.low is None or estimate.high is None:
        return "–"
    return f"{100 * estimate.low:.{decimals}f}–{100 * estimate.high:.{decimals}f}"


def with_intervals(estimates: Mapping[str, Estimate], names: Sequence[str], decimals: int = 1) -> list[str]:
    """Values with their intervals on a second line, in the order of `names`."""
    chosen = [estimates[name] for name in names]
    return [f"{percentage(one, decimals)}\n{interval(one, decimals)}" for one in chosen]
