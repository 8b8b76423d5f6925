"""The summary of a file of ratings on a scoring, and its tables on the screen."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metrics.common.errors import UserError
from metrics.common.files import one_line
from metrics.common.formatting import printable
from metrics.common.tables import WideTable, print_tables
from metrics.scoring.clusters import FEWEST
from metrics.viewer.building import open_index
from metrics.viewer.index import Index
from metrics.viewer.ratings.export import write_csv
from metrics.viewer.ratings.store import RATINGS, Rating, RatingStore
from metrics.viewer.ratings.summary import LEAST, summarise

TITLES = {"blind": "Rated blind", "open": "Rated knowing the systems"}


def summary_of(ratings: Sequence[Rating], index: Index) -> dict[str, Any]:
    """Return the summary (`summarise`) of the ratings of this scoring's captions."""
    found = {index.place(key) for key in {one.item for one in ratings}}
    places = sorted(place for place in found if place is not None)
    items = [index.item(place) for place in places]
    scores = {
        measure: np.stack([index.scores(measure, system)[places] for system in range(len(index.systems))], axis=1)
        for measure in index.measures
    }
    captions = [index.texts(place) for place in places]
    return summarise(ratings, items, index.names, captions, scores)


def report_ratings(
    file: Path, scores: Sequence[Path], out: Path | None, as_json: bool, overwrite: bool = False
) -> None:
    """Write the ratings in `file` to `out` as CSV, and print their summary on the scorings in the folders `scores`.

    Raises:
        UserError: when there is nothing to do, `file` is not one of ratings, or as `open_index` and `write_csv`.
    """
    if not scores and (as_json or out is None):
        raise UserError("nothing to do: give --out for a table of all ratings, --scores for a summary of what they say")
    if not file.exists():
        raise UserError(f"{file}: no such file; expected ratings that `lookbook view` has saved")
    store = RatingStore(file)
    if out is not None:
        write_csv(store.all(), out, overwrite)
        print(f"ratings: {out}", file=sys.stderr)
    if scores:
        summary = summary_of(store.all(), open_index(scores))
        if as_json:
            print(printable(one_line(json.dumps(summary, ensure_ascii=False, indent=1, allow_nan=False))))
        else:
            print_tables(*screen_tables(summary))


def value(figure: Mapping[str, Any], form: str = ".2f") -> str:
    """Print a figure's value, or why there is none."""
    if figure["value"] is not None:
        return format(figure["value"], form)
    return "too few" if figure["clusters"] < LEAST else "undefined"


def bounds(figure: Mapping[str, Any], form: str = ".2f") -> str:
    """Print a figure's interval, a dash if there is none."""
    return " to ".join(format(bound, form) for bound in figure["interval"] or ()) or "–"


def notes(rated: Mapping[str, Any]) -> list[str]:
    """Return what must be known of the figures of one kind of ratings."""
    said = []
    if rated["clusters"] < LEAST:
        said.append(f"Figures need {LEAST} independent clusters of rated items; so far there are {rated['clusters']}.")
    elif rated["clusters"] < FEWEST:
        said.append(f"Fewer than {FEWEST} independent clusters of items: do not trust the intervals.")
    if len(rated["raters"]) < 2:
        said.append("There is one rater: whether raters agree is not known.")
    return said


def screen_tables(summary: Mapping[str, Any]) -> list[WideTable | str]:
    """Return the summary as tables and lines."""
    parts: list[WideTable | str] = []
    for kind, title in TITLES.items():
        if rated := summary[kind]["rated"]:
            raters = ", ".join(f"{name} {count:,}" for name, count in rated["raters"].items())
            clusters = f"in {rated['clusters']:,} clusters by {rated['unit'].replace('+', ', ')}"
            parts.append(f"{title}: {rated['ratings']:,} ratings of {rated['items']:,} items {clusters}; {raters}")
            parts += [_systems(rated), _pairs(rated), _agreement(rated), _measures(rated), *notes(rated)]
    return [*(parts or ["no ratings"]), *counts(summary)]


def counts(summary: Mapping[str, Any]) -> list[str]:
    """Return how many ratings are left out or, of an earlier version, not known to be of these captions."""
    lines = {
        "left_out": "left out, since of other items or systems",
        "other_captions": "left out, since the captions are others today",
        "unknown_captions": "counted by item and system, since an earlier version did not keep which caption was rated",
    }
    return [f"{line}: {summary[name]:,}" for name, line in lines.items() if summary[name]]


def _systems(rated: Mapping[str, Any]) -> WideTable:
    table = WideTable(["system"], [*map(str, RATINGS), "captions", "mean rating", "95%"])
    for one in rated["systems"]:
        table.add_row(one["name"], *map(str, one["given"]), *_cells(one["mean"]))
    return table


def _pairs(rated: Mapping[str, Any]) -> WideTable:
    table = WideTable(["system", "against"], ["won", "tied", "lost", "n", "wins, ties half", "95%"])
    for one in rated["pairs"]:
        counts = (str(one[name]) for name in ("won", "tied", "lost"))
        table.add_row(one["one"], one["other"], *counts, *_cells(one["wins"], ".1%"))
    return table


def _agreement(rated: Mapping[str, Any]) -> WideTable:
    table = WideTable(["agreement of raters"], ["captions", "Krippendorff's alpha", "95%"])
    for name, figure in rated["agreement"].items():
        table.add_row(name, *_cells(figure))
    return table


def _measures(rated: Mapping[str, Any]) -> WideTable:
    headings = ["captions", "Kendall's tau-b", "95%", "Spearman's rho", "95%", "pairs", "prefers as people", "95%"]
    table = WideTable(["measure"], headings)
    for one in rated["measures"]:
        cells = [*_cells(one["tau_b"]), *_cells(one["rho"])[1:], *_cells(one["preference"], ".1%")]
        table.add_row(one["name"], *cells)
    return table


def _cells(figure: Mapping[str, Any], form: str = ".2f") -> list[str]:
    return [f"{figure['n']:,}", value(figure, form), bounds(figure, form)]
