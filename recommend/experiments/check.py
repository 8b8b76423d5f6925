"""What is missing before the rows of a recipe can be made, and how long each will take."""

from metrics.common.formatting import duration
from metrics.common.tables import WideTable, print_tables
from recommend.experiments.costs import Cost, cost_of
from recommend.experiments.data import OpenDataset, open_dataset
from recommend.experiments.output import check_output
from recommend.experiments.recipe import Recipe
from recommend.experiments.rows import plan
from recommend.experiments.tables import sentences


def check(recipe: Recipe, source: str) -> None:
    """Print what each row takes, as short probes on some of the customers have it.

    Raises `UserError`, before any probe, with everything that is missing.
    """
    check_output(recipe.output)
    rows = plan(recipe, source)
    table = WideTable(["data set", "model"], ["fit", "lists", "memory"], "What a row takes on this machine, about")
    opened: OpenDataset | None = None
    seconds = 0.0
    for row in rows:
        if row.place.is_finished():
            table.add_row(row.dataset.name, row.model.title, "finished", "", "")
            continue
        if opened is None or opened.section != row.dataset:
            opened = open_dataset(row.dataset)
            print_tables(f"{row.dataset.name}: {' '.join(sentences(row.dataset.model_dump(), opened.account))}")
        cost = cost_of(row.model, opened.test, recipe.seed, recipe.k)
        table.add_row(row.dataset.name, row.model.title, *_cells(cost))
        seconds += cost.fit + cost.recommend
    print_tables(table, f"{source}: ready; what is not finished takes about {duration(seconds)}")


def _cells(cost: Cost) -> tuple[str, str, str]:
    return duration(cost.fit), duration(cost.recommend), f"{cost.memory / 1e9:.1f} GB"
