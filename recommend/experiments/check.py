"""What is missing before the rows of a recipe can be made, and how long each will take."""

from collections.abc import Iterator

from metrics.common.formatting import duration
from metrics.common.tables import WideTable, print_tables
from recommend.experiments.costs import Cost, cost_of
from recommend.experiments.data import OpenDataset, open_dataset
from recommend.experiments.masking import fits, masked_models, masking_place
from recommend.experiments.models import Model
from recommend.experiments.output import check_output
from recommend.experiments.recipe import Dataset, Recipe
from recommend.experiments.rows import plan
from recommend.experiments.tables import sentences

_TITLE = "What a row takes on this machine, about"


def check(recipe: Recipe, source: str) -> None:
    """Print what each row takes, and the study of missing features, as short probes on some of the customers have it.

    Raises `UserError`, before any probe, with everything that is missing.
    """
    check_output(recipe.output)
    rows = plan(recipe, source)
    study = recipe.masking is not None and not masking_place(recipe, recipe.masking).is_finished()
    table, probes = WideTable(["data set", "model"], ["fit", "lists", "memory"], _TITLE), _Probes(recipe)
    seconds = 0.0
    for row in rows:
        if row.place.is_finished():
            table.add_row(row.dataset.name, row.model.title, "finished", "", "")
            continue
        cost = probes.cost(row.dataset, row.model)
        table.add_row(row.dataset.name, row.model.title, *_cells(cost))
        seconds += cost.fit + cost.recommend
    for name, title, cost in _masked(recipe, probes) if study else ():
        table.add_row(name, title, *_cells(cost))
        seconds += cost.fit + cost.recommend
    print_tables(table, f"{source}: ready; what is not finished takes about {duration(seconds)}")


class _Probes:
    """Costs of models on data sets, each probed once; the data set that is in memory."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._known: dict[tuple[str, str], Cost] = {}
        self._opened: OpenDataset | None = None

    def cost(self, dataset: Dataset, model: Model) -> Cost:
        key = dataset.name, model.title
        if key not in self._known:
            self._known[key] = cost_of(model, self._open(dataset).test, self._recipe.seed, self._recipe.k)
        return self._known[key]

    def _open(self, dataset: Dataset) -> OpenDataset:
        if self._opened is None or self._opened.section != dataset:
            self._opened = None  # so that the purchases of one data set alone are in memory
            self._opened = open_dataset(dataset, self._recipe.k)
            facts = " ".join(sentences(dataset.model_dump(), self._opened.account))
            print_tables(f"{dataset.name}: {facts}")
        return self._opened


def _masked(recipe: Recipe, probes: _Probes) -> Iterator[tuple[str, str, Cost]]:
    """The data set, the title and the cost of each model in the study of missing features."""
    if recipe.masking is None:
        return
    dataset, times = recipe.dataset(recipe.masking.dataset), fits(recipe.masking)
    for title, model in masked_models(recipe, recipe.masking).items():
        one = probes.cost(dataset, model)
        yield dataset.name, f"masking: {title}, {times} times", Cost(times * one.fit, times * one.recommend, one.memory)


def _cells(cost: Cost) -> tuple[str, str, str]:
    return duration(cost.fit), duration(cost.recommend), f"{cost.memory / 1e9:.1f} GB"
