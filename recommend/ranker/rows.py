"""A row of a recipe, from what goes in to its result on disk."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from finetune.data.feature_cache import FeatureStore
from finetune.experiments.cells import CellErrors
from metrics.common.errors import UserError
from metrics.common.files import sha256
from metrics.common.version import installed_version
from recommend.experiments.measured import ALL, Slice
from recommend.experiments.results import Place
from recommend.interactions.purchases import PurchasesFolder
from recommend.ranker.baselines import baseline_lists
from recommend.ranker.periods import Data
from recommend.ranker.recipe import BASELINES, RANDOM, Recipe, Row
from recommend.ranker.training import K, ranked_lists, settings_for, train
from recommend.ranker.vectors import Added, added, known_articles, names_of
from recommend.ranking.estimates import estimates
from recommend.ranking.hits import marks_of

KS = (K,)
Key = tuple[str, str | None, bool | None]
WITH_HISTORY, WITHOUT_HISTORY = "with a history", "without a history"


@dataclass(frozen=True)
class Planned:
    """A row, or a baseline by its name, and where its result lies."""

    what: Row | str
    place: Place

    @property
    def title(self) -> str:
        """On the screen."""
        return self.what if isinstance(self.what, str) else self.what.title

    @property
    def key(self) -> Key:
        """Which of the recipe's rows it is; a baseline has neither ranker nor features."""
        return (self.what, None, None) if isinstance(self.what, str) else self.what.key


def plan(recipe: Recipe, source: str) -> list[Planned]:
    """All rows, the baselines first. Raises `UserError` with all files and stores that are missing."""
    errors, rows = CellErrors(source), []
    digest = cache(lambda store: FeatureStore.open(Path(store)).digest)
    with errors.collect("all rows"):
        shared = inputs_of(recipe)
        rows = [Planned(name, Place.of(recipe.output, name, {**shared, "baseline": name})) for name in BASELINES]
    for row in recipe.rows() if rows else ():
        with errors.collect(row.title):
            given = {**shared, **row_inputs(recipe, row), "stores": [digest(store) for store in row.arm.stores]}
            rows.append(Planned(row, Place.of(recipe.output, row.title, given)))
    errors.refuse()
    return rows


def inputs_of(recipe: Recipe) -> dict[str, Any]:
    """What goes into all rows. Raises `UserError` if a file is missing."""
    keys = {"setting", "codes", "train", "test", "candidates"}
    files = {"items": recipe.items, "customers": recipe.customers, "neighbours": recipe.neighbours}
    return {
        **recipe.model_dump(mode="json", include=keys),
        "purchases": PurchasesFolder.open(recipe.purchases).digest,
        "files": {name: None if path is None else sha256(path) for name, path in files.items()},
    }


def row_inputs(recipe: Recipe, row: Row) -> dict[str, Any]:
    """What goes into one row beside its stores."""
    several = row.arm.bestsellers is not None and len(recipe.train) > 1
    return {
        "arm": row.arm.model_dump(mode="json", exclude={"name", "features", "flags"}),
        **({"bestsellers_of": str(recipe.train[recipe.first_period])} if several else {}),
        "features": [*row.arm.flags, RANDOM if row.arm.features == RANDOM else row.arm.features is not None],
        "ranker": row.ranker.model_dump(mode="json", exclude={"name"}),
        "bestseller_rank": row.bestseller_rank,
        "components": recipe.components,
        "seed": recipe.seed,
        "threads": recipe.threads,
        "lightgbm": lightgbm.__version__,
    }


class Arms:
    """The features of arms; those of the last one are kept, since rows by other rankers need them again.

    The bestsellers of an arm are those of the history that ends first: none of the labels that are trained on is known
    then.
    """

    def __init__(self, data: Data) -> None:
        self._data = data
        self._first = data.train[data.recipe.first_period].history
        self._known: tuple[str, Added | None] | None = None

    def check(self) -> None:
        """Raise `UserError` if an arm has too few articles with features, or names one twice; reads no features."""
        data, last = self._data, self._data.train[-1]
        one = next(data.pieces(last.history, last.labels.customers[:1]))
        known, _ = data.features(one, last.history, True, None)
        for arm in data.recipe.arms:
            names = names_of(arm, data.recipe.components)
            twice = sorted(name for name in {*names} if [*known, *names].count(name) > 1)
            if twice:
                raise UserError(f"arms: {arm.name}: there is another feature called {twice[0]}; rename the flag")
            if arm.features is not None:
                known_articles(arm, data.recipe.components, data.purchases.article_ids, self._first.bestsellers)

    def of(self, row: Row) -> Added | None:
        """The features that a row's arm adds. Raises `UserError` as `added` does."""
        if self._known is None or self._known[0] != row.arm.name:
            recipe, ids = self._data.recipe, self._data.purchases.article_ids
            made = added(row.arm, recipe.components, ids, self._first.bestsellers, recipe.seed)
            self._known = (row.arm.name, made)
        return self._known[1]


def finish(planned: Planned, data: Data, arms: Arms) -> None:
    """Train, rank, measure, and write the result. Raises `UserError` if any of that cannot be done."""
    start = time.perf_counter()
    lists, facts = _lists(planned.what, data, arms)
    labels = data.test.labels
    whole = Slice(labels.customers, lists, marks_of(lists, labels), labels.counts)
    found = {name: estimates(whole.hits, KS, among) for name, among in customers_of(data).items()}
    result = {
        **facts,
        "estimates": {name: {key: asdict(one) for key, one in of_slice.items()} for name, of_slice in found.items()},
        "lookbook": installed_version(),
        "seconds": round(time.perf_counter() - start, 3),
    }
    planned.place.write(result, {ALL: whole}, KS)


def customers_of(data: Data) -> dict[str, NDArray[np.bool_] | None]:
    """Which customers of the test are measured, by the name of the slice."""
    before = data.test.with_history
    return {ALL: None, WITH_HISTORY: before, WITHOUT_HISTORY: ~before}


def _lists(what: Row | str, data: Data, arms: Arms) -> tuple[NDArray[np.int32], Mapping[str, Any]]:
    if isinstance(what, str):
        return baseline_lists(what, data, data.test), {}
    more = arms.of(what)
    trained = train(what, data, data.train, more, settings_for(what, data))
    lists = ranked_lists(what, data, trained.fitted, data.test.history, data.test.labels.customers, more)
    facts = {
        "added": {**more.about, **_coverage(more, data)} if more else None,
        "trained_on": {name: getattr(trained, name) for name in ("customers", "candidates", "bought")},
        "importances": trained.fitted.importances(),
    }
    return lists, facts


def _coverage(more: Added, data: Data) -> dict[str, Any]:
    """How many articles have the arm's features, of all, of the test's candidates, and in how many pairs."""
    occurrences = data.accounts[-1].occurrences
    shown = occurrences > 0
    return {
        "known": int(more.known.sum()),
        "known_candidates": int((more.known & shown).sum()),
        "known_pairs": int(occurrences[more.known].sum()),
        "flags": {name: int(more.rows[shown, more.names.index(name)].sum()) for name in more.about["flags"]},
    }
