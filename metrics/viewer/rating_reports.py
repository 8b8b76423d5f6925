"""The summary of a file of ratings on a scoring, and its tables on the screen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from metrics.common.tables import WideTable
from metrics.scoring.clusters import BY, FEWEST
from metrics.viewer.index import Index
from metrics.viewer.rating_summary import KINDS, summarise
from metrics.viewer.ratings import RATINGS, RatingStore

TITLES = {"blind": "Rated blind", "open": "Rated knowing the systems"}


def summary_of(store: RatingStore, index: Index, by: Sequence[str] = BY) -> dict[str, Any]:
    """Return the summary (`summarise`) of all ratings in a file that are of this scoring's captions."""
    ratings = store.all()
    found = {index.place(key) for key in {one.item for one in ratings}}
    places = sorted(place for place in found if place is not None)
    items = [index.item(place) for place in places]
    scores = {
        measure: np.stack([index.scores(measure, system)[places] for system in range(len(index.systems))], axis=1)
        for measure in index.measures
    }
    return summarise(ratings, items, index.names, scores, by)


def value(figure: Mapping[str, Any], form: str = ".2f") -> str:
    """Print a figure's value, or why there is none."""
    if figure["value"] is not None:
        return format(figure["value"], form)
    return "too few" if figure["clusters"] < LEAST else "undefined"


def bounds(figure: Mapping[str, Any], form: str = ".2f") -> str:
    """Print a figure's interval, empty if there is none."""
    return "–".join(format(bound, form) for bound in figure["interval"] or ())


def notes(summary: Mapping[str, Any], kind: str) -> list[str]:
    """Return what must be known of the figures of a kind."""
    rated, said = summary[kind]["rated"], []
    if rated["clusters"] < LEAST:
        said.append(f"Too few: figures need {LEAST} independent clusters of items, {rated['clusters']} are rated so far.")
    elif rated["clusters"] < FEWEST:
        said.append(f"Fewer than {FEWEST} independent clusters of items: do not trust the intervals.")
    if len(rated["raters"]) < 2:
        said.append("One rater: how far raters agree is not known.")
    return said


def screen_tables(summary: Mapping[str, Any]) -> list[WideTable | str]:
    """Return the summary as tables and lines."""
    parts: list[WideTable | str] = []
    for kind, title in TITLES.items():
        if rated := summary[kind]["rated"]:
            raters = ", ".join(f"{name} {count:,}" for name, count in rated["raters"].items())
            parts.append(f"{title}: {rated['ratings']:,} ratings of {rated['items']:,} items ({raters})")
            parts += [_systems(rated), _pairs(rated), _measures(rated)] if len(rated["systems"]) > 1 else [_systems(rated), _measures(rated)]
            parts += notes(summary, kind)
    if summary["left_out"]:
        parts.append(f"of other items or systems, left out: {summary['left_out']:,}")
    return parts or ["no ratings of these items and systems"]
