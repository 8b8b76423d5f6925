"""What is missing before the rows of a recipe can be made, and how long they will take."""

import time

from metrics.common.formatting import duration, percent
from metrics.common.tables import WideTable, print_tables
from recommend.ranker.periods import Account, Data, Period, open_data
from recommend.ranker.recipe import Recipe
from recommend.ranker.rows import Arms, Planned, plan, unfinished
from recommend.ranker.table.output import check_output
from recommend.ranker.training import ranked_lists, settings_for, train
from recommend.ranking.relevant import Relevant

_PROBED = 2000  # customers that a row is tried on


def check(recipe: Recipe, source: str) -> None:
    """Print the candidates of each period, and what each row takes, as short probes on some customers have it.

    Raises `UserError`, before any probe, with everything that is missing.
    """
    check_output(recipe.output)
    rows, data = plan(recipe, source), open_data(recipe)
    arms = Arms(data)
    arms.read(unfinished(rows))
    periods = WideTable(["period"], ["customers", "with history", "candidates", "bought", "among them"], "Periods")
    for days, found in zip((*recipe.train, recipe.test), data.accounts, strict=True):
        periods.add_row(str(days), *_cells(found))
    table, seconds = WideTable(["row"], ["about"], "What a row takes on this machine"), 0.0
    for row in rows:
        if row.place.is_finished():
            table.add_row(row.title, "finished")
        else:
            took = _seconds(row, data, arms)
            table.add_row(row.title, duration(took))
            seconds += took
    print_tables(periods, table, f"{source}: ready; what is not finished takes about {duration(seconds)}")


def _cells(found: Account) -> list[str]:
    counts = found.as_dict()
    shown = [f"{counts[name]:,}" for name in ("customers", "with_history", "candidates", "labels")]
    return [*shown, percent(found.reachable / found.labels)]


def _seconds(planned: Planned, data: Data, arms: Arms) -> float:
    """What a row takes, as training and ranking for some of the customers have it."""
    if isinstance(planned.what, str):
        return 0.0
    row, added = planned.what, arms.of(planned.what)
    start = time.perf_counter()
    fitted = train(row, data, [_some(period) for period in data.train], added, settings_for(row, data)).fitted
    trained = time.perf_counter()
    ranked_lists(row, data, fitted, data.test.history, _some(data.test).labels.customers, added)
    ranked = time.perf_counter()
    customers = sum(len(period.labels.customers) for period in data.train)
    asked = sum(len(_some(period).labels.customers) for period in data.train)
    tested = len(data.test.labels.customers) / len(_some(data.test).labels.customers)
    return (trained - start) * customers / asked + (ranked - trained) * tested


def _some(period: Period) -> Period:
    """The period with at most `_PROBED` of its customers, evenly taken."""
    labels = period.labels
    step = -(-len(labels.customers) // _PROBED)
    taken = labels.owners % step == 0
    return Period(
        period.history, Relevant(labels.customers[::step], labels.owners[taken] // step, labels.articles[taken])
    )
