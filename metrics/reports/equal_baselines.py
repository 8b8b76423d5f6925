"""Baselines that come out the same in everything: one row of a table, which says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from metrics.scoring.suite import Evaluation, SystemScores

Row = Mapping[str, Any]


def equal_baselines(evaluation: Evaluation) -> list[list[str]]:
    """Return names of baselines with the same values and intervals in every measure on every slice, by group."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for result in evaluation.results:
        if result.system.run and result.system.run.kind == "baseline":
            groups.setdefault(_outcome(result), []).append(result.system.name)
    return [names for names in groups.values() if len(names) > 1]


def _outcome(result: SystemScores) -> tuple[Any, ...]:
    return tuple((score.value, score.interval) for scores in result.scores.values() for score in scores.values())


def joined_rows(rows: Sequence[Row], groups: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the rows, each with its `names`: a group is its first row, called `one = other`."""
    joined = []
    for row in rows:
        group = next((names for names in groups if row["name"] in names and not row.get("published")), [row["name"]])
        if row["name"] == group[0]:
            joined.append({**row, "name": " = ".join(group), "names": list(group)})
    return joined
