"""Kaggle's submission.csv: the best 12 articles of every customer."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from finetune.data.feature_cache import FeatureStore
from metrics.common.files import atomic_folder, atomic_writer, write_text
from recommend.experiments.results import Place
from recommend.ranker.history import History, history_of
from recommend.ranker.lgbm import Fitted
from recommend.ranker.periods import Data
from recommend.ranker.recipe import Recipe, Row, Submission
from recommend.ranker.rows import Arms, inputs_of, row_inputs
from recommend.ranker.training import PAD, ranked_lists, settings_for, train
from recommend.ranker.vectors import Added

NAME = "submission.csv"
_CUSTOMERS = 1 << 16  # whose lists are held at once


def submit(recipe: Recipe, submission: Submission, data: Data, arms: Arms) -> Path:
    """Write the file into a folder of its own, named by what went in, unless it is there; return the file's place.

    The ranker is trained on the periods of training and on that of the test: all that is known. Raises `UserError` if
    nobody bought anything on the days of the history, or if the folder cannot be written.
    """
    row = row_of(recipe, submission)
    inputs = _inputs(recipe, submission, row)
    folder = Place.of(recipe.output, "submission", inputs).folder
    if (folder / NAME).is_file():
        return folder / NAME
    history = history_of(data.purchases, submission.history, "submission.history")
    added = arms.of(row)
    trained = train(row, data, [*data.train, data.test], added, settings_for(row, data))
    with atomic_folder(folder) as draft:
        write_text(draft / "inputs.json", json.dumps(inputs, indent=1) + "\n")
        _write(draft / NAME, row, data, trained.fitted, history, added)
    return folder / NAME


def row_of(recipe: Recipe, submission: Submission) -> Row:
    """The row whose model makes the submission."""
    arm = next(one for one in recipe.arms if one.name == submission.arm)
    ranker = next(one for one in recipe.rankers if submission.ranker in (None, one.name))
    return Row(arm, ranker, submission.bestseller_rank)


def _inputs(recipe: Recipe, submission: Submission, row: Row) -> dict[str, Any]:
    stores = [FeatureStore.open(Path(store)).digest for store in row.arm.stores]
    history = submission.model_dump(mode="json", include={"history"})
    return {**inputs_of(recipe), **row_inputs(recipe, row), "stores": stores, "submission": history}


def _write(path: Path, row: Row, data: Data, fitted: Fitted, history: History, added: Added | None) -> None:
    ids = data.purchases.article_ids
    with atomic_writer(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("customer_id", "prediction"))
        for start in range(0, len(data.customer_ids), _CUSTOMERS):
            names = data.customer_ids[start : start + _CUSTOMERS]
            customers = np.arange(start, start + len(names))
            for name, places in zip(names, ranked_lists(row, data, fitted, history, customers, added), strict=True):
                writer.writerow((name, " ".join(ids[place] for place in places if place != PAD)))
