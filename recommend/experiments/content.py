"""What the table of a recipe says, as plain values: `recommend.json`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from metrics.common.version import installed_version
from metrics.measures.statistics import SAMPLES, TRIALS
from recommend.experiments.comparisons import Comparisons
from recommend.experiments.measured import ALL, main_measures
from recommend.experiments.models import Model
from recommend.experiments.published import SOURCE, published_rows
from recommend.experiments.recipe import Dataset, Recipe
from recommend.experiments.results import Place
from recommend.experiments.unlike import unlike_data, unlike_models
from recommend.ranking.protocol import Protocol

TITLE = "Recommenders on purchases"
Content = dict[str, Any]


def published_name(measure: str) -> str:
    """What the paper calls a measure."""
    return measure.removesuffix(" (mean precision)")


def content_of(
    recipe: Recipe, places: Mapping[tuple[str, str], Place], comparisons: Comparisons, masking: Place | None = None
) -> Content:
    """All that is known so far.

    Args:
        recipe: whose table it is.
        places: the rows that are finished, by data set and model.
        comparisons: those that were made before.
        masking: the study of missing features, if it is finished.
    """
    return {
        "title": TITLE,
        "lookbook": installed_version(),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "source": SOURCE if any(dataset.published for dataset in recipe.datasets) else None,
        "method": {
            "interval": f"95%, percentile bootstrap over customers, {SAMPLES:,} samples",
            "difference": f"paired over customers; p by randomisation, {TRIALS:,} trials, below it Holm's correction",
        },
        "ks": list(recipe.ks),
        "measures": main_measures(recipe.ks),
        "datasets": [_dataset(recipe, dataset, places, comparisons) for dataset in recipe.datasets],
        "masking": _without_inputs(masking.read()) if masking else None,
    }


def _dataset(
    recipe: Recipe, dataset: Dataset, places: Mapping[tuple[str, str], Place], comparisons: Comparisons
) -> Content:
    rows = [_row(dataset, model, places) for of, model in recipe.rows() if of == dataset]
    finished = [row for row in rows if row["result"]]
    finished.sort(key=lambda row: -row["result"]["estimates"][ALL][f"nDCG@{recipe.k}"]["value"])
    ordered = {row["model"]: places[dataset.name, row["model"]] for row in finished}
    facts = finished[0]["result"]["facts"] if finished else None
    shown = {row["published_as"] for row in rows}
    others = [one for one in published_rows() if one.dataset == dataset.published and one.setting not in shown]
    return {
        "name": dataset.name,
        "split": dataset.split,
        "candidates": dataset.candidates,
        "published": dataset.published,
        "facts": facts,
        "warning": unlike_data(dataset, facts) if facts else None,
        "unlike_models": unlike_models(rows) if dataset.published else [],
        "rows": rows,
        "only_published": [{"model": one.setting, "published": one.scores} for one in others],
        "differences": comparisons.of(ordered, recipe.against),
    }


def _row(dataset: Dataset, model: Model, places: Mapping[tuple[str, str], Place]) -> Content:
    place = places.get((dataset.name, model.title))
    scores = {one.setting: one.scores for one in published_rows() if one.dataset == dataset.published}
    result = place.read() if place else None
    signatures = {}
    if result:
        protocol = Protocol(**result["protocol"])
        signatures = {
            name: protocol.signature(name, one["customers"], result["lookbook"])
            for name, one in result["estimates"][ALL].items()
        }
    return {
        "model": model.title,
        "recommender": model.kind,
        "published_as": model.published,
        "published": scores.get(model.published or ""),
        "result": _without_inputs(result) if result else None,
        "signatures": signatures,
        "folder": place.folder.name if place else None,
    }


def _without_inputs(result: Mapping[str, Any]) -> Content:
    return {key: value for key, value in result.items() if key != "inputs"}
