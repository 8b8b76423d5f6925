"""What the table of a recipe says, as plain values: `recommend.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any

from metrics.common.version import installed_version
from metrics.measures.statistics import SAMPLES, TRIALS, holm
from recommend.experiments.measured import ALL
from recommend.experiments.published import SOURCE, published_rows
from recommend.experiments.recipe import Dataset, Recipe
from recommend.experiments.results import Place
from recommend.interactions.settings import AUGMENTED, FILTERED
from recommend.interactions.splits import PER_USER
from recommend.interactions.table1 import PUBLISHED
from recommend.ranking.estimates import differences
from recommend.ranking.measures import MEAN_PRECISION
from recommend.ranking.protocol import Protocol

TITLE = "Recommenders on purchases"
_SETTINGS = {"Original": FILTERED, "Unfiltered & Augmented": AUGMENTED}  # of Table 1, by the columns of Table 5
Content = dict[str, Any]


def main_measures(ks: Sequence[int]) -> list[str]:
    """The measures of the paper's table at each k: nDCG, and MAP as Elliot computes it."""
    return [form.format(k=k) for form in ("nDCG@{k}", MEAN_PRECISION) for k in ks]


def published_name(measure: str) -> str:
    """What the paper calls a measure."""
    return measure.removesuffix(" (mean precision)")


def content_of(recipe: Recipe, places: Mapping[tuple[str, str], Place], masking: Place | None = None) -> Content:
    """All that is known of the rows so far; `places` has those that are finished, by data set and model.

    `masking`: the place of the study of missing features, if the recipe has one.
    """
    return {
        "title": TITLE,
        "lookbook": installed_version(),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "source": SOURCE,
        "method": {
            "interval": f"95%, percentile bootstrap over customers, {SAMPLES:,} samples",
            "difference": f"paired over customers; p by randomisation, {TRIALS:,} trials, below it Holm's correction",
        },
        "ks": list(recipe.ks),
        "measures": main_measures(recipe.ks),
        "datasets": [_dataset(recipe, dataset, places) for dataset in recipe.datasets],
        "masking": _without_inputs(masking.read()) if masking and masking.is_finished() else None,
    }


def _dataset(recipe: Recipe, dataset: Dataset, places: Mapping[tuple[str, str], Place]) -> Content:
    rows = [_row(dataset, model.title, model.published, places) for of, model in recipe.rows() if of == dataset]
    finished = {title: places[dataset.name, title] for title in (row["model"] for row in rows if row["result"])}
    facts = next((row["result"]["facts"] for row in rows if row["result"]), None)
    shown = {row["published_as"] for row in rows}
    others = [one for one in published_rows() if one.dataset == dataset.published and one.setting not in shown]
    return {
        "name": dataset.name,
        "split": dataset.split,
        "candidates": dataset.candidates,
        "published": dataset.published,
        "facts": facts,
        "warning": _unlike_published(dataset, facts) if facts else None,
        "rows": rows,
        "only_published": [{"model": one.setting, "published": one.scores} for one in others],
        "differences": _differences(recipe, rows, finished),
    }


def _row(dataset: Dataset, title: str, published: str | None, places: Mapping[tuple[str, str], Place]) -> Content:
    place = places.get((dataset.name, title))
    scores = {one.setting: one.scores for one in published_rows() if one.dataset == dataset.published}
    result = place.read() if place else None
    signatures = {}
    if result:
        protocol = Protocol(**result["protocol"])
        signatures = {
            name: protocol.signature(name, one["customers"]) for name, one in result["estimates"][ALL].items()
        }
    return {
        "model": title,
        "published_as": published,
        "published": scores.get(published or ""),
        "result": _without_inputs(result) if result else None,
        "signatures": signatures,
        "folder": place.folder.name if place else None,
    }


def _without_inputs(result: Mapping[str, Any]) -> Content:
    return {key: value for key, value in result.items() if key != "inputs"}


def _unlike_published(dataset: Dataset, facts: Mapping[str, Any]) -> str | None:
    """Why figures do not compare with the paper's, None if they do, or if none of these are shown."""
    if dataset.published is None:
        return None
    theirs = PUBLISHED[_SETTINGS[dataset.published]]
    same = (facts["train"], facts["test"]) == (theirs.train, theirs.test)
    if same and (dataset.split, dataset.candidates, dataset.customers) == (PER_USER, "trained", "with-history"):
        return None
    return (
        f"Our figures are not comparable with the published ones: those are of {theirs.train:,} training and "
        f"{theirs.test:,} test purchases of H&M, split {PER_USER}, candidates trained; ours of {facts['train']:,} and "
        f"{facts['test']:,}, split {dataset.split}, candidates {dataset.candidates}."
    )


def _differences(recipe: Recipe, rows: Sequence[Content], finished: Mapping[str, Place]) -> list[Content]:
    """Each model less the next one in the order of nDCG, and less each of `against`; p corrected for all of them."""
    by = f"nDCG@{recipe.k}"
    ordered = sorted(finished, key=lambda title: -_value(rows, title, by))
    pairs = [(one, other, "next") for one, other in pairwise(ordered)]
    pairs += [
        (one, other, "against") for other in recipe.against if other in finished for one in ordered if one != other
    ]
    found: list[Content] = [
        {"model": one, "from": other, "kind": kind, "slice": name, "differences": values}
        for one, other, kind in pairs
        for name, values in _compared(finished[one], finished[other], tuple(recipe.ks)).items()
    ]
    for name in {(entry["slice"], entry["kind"]) for entry in found}:
        group = [entry for entry in found if (entry["slice"], entry["kind"]) == name]
        corrected = holm({place: entry["differences"][by]["p"] for place, entry in enumerate(group)})
        for place, entry in enumerate(group):
            entry["p_holm"] = corrected[place]
    return found


@cache
def _compared(one: Place, other: Place, ks: tuple[int, ...]) -> dict[str, Content]:
    """By slice and measure; kept, since the table is written after every row."""
    ours, theirs, shown = one.hits(), other.hits(), main_measures(ks)
    found = {}
    for name in ours:
        gains = differences(ours[name], theirs[name], ks)
        found[name] = {measure: asdict(gains[measure]) for measure in shown if gains}
    return found


def _value(rows: Sequence[Content], title: str, measure: str) -> float:
    result = next(row["result"] for row in rows if row["model"] == title)
    return float(result["estimates"][ALL][measure]["value"])
