"""What keeps our figures from being compared with the published ones beside them: other purchases, other models."""

from collections.abc import Mapping, Sequence
from typing import Any

from recommend.experiments.recipe import Dataset
from recommend.interactions.settings import AUGMENTED, FILTERED
from recommend.interactions.splits import PER_USER
from recommend.interactions.table1 import PUBLISHED

_SETTINGS = {"Original": FILTERED, "Unfiltered & Augmented": AUGMENTED}  # of Table 1, by the columns of Table 5


def unlike_data(dataset: Dataset, facts: Mapping[str, Any]) -> str | None:
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


def unlike_models(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each way in which rows beside a published one are of another model, with their titles."""
    titles: dict[str, list[str]] = {}
    for row in rows:
        difference = _difference(row["recommender"], row["result"]) if row["result"] and row["published"] else None
        if difference:
            titles.setdefault(difference, []).append(row["model"])
    return [f"{', '.join(named)}: {difference}." for difference, named in titles.items()]


def _difference(recommender: str, result: Mapping[str, Any]) -> str | None:
    """How a model differs from Elliot's of that name."""
    settings = result["settings"]
    if recommender == "user-knn" and not settings["elliot_compat"]:
        return "the published figures are of what Elliot computes, which is our model with elliot_compat: true"
    if recommender != "vbpr":
        return None
    return (
        "the published figures are of dense Adam, batches of 1,024, an epoch among 200 that the test part chose, and "
        f"features as encoded; ours of {settings['optimizer']}, batches of {settings['batch_size']:,}, "
        f"{settings['epochs']:,} epochs, features {result['features']['name']}"
    )
