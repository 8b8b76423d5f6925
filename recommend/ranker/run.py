"""All rows of a recipe, one after the other; interrupted and started again, it continues with what is unfinished."""

import time

from metrics.common.formatting import duration
from metrics.common.ownership import claim_folder
from metrics.common.screen import say
from recommend.experiments.run import only_here
from recommend.ranker.content import Comparisons, Content, content_of
from recommend.ranker.output import CONTENTS, OTHER, check_output, show, write_output
from recommend.ranker.periods import Data, open_data
from recommend.ranker.recipe import Recipe
from recommend.ranker.rows import Arms, Planned, finish, plan
from recommend.ranker.submission import submit

_EVERY = 30.0  # seconds after which the table is written again


def run(recipe: Recipe, source: str) -> None:
    """Make every row that is not finished, writing the table as it goes; then the submission, if it is asked for.

    Raises `UserError` before anything is trained if a file or a store is missing or a period has no purchases, and if
    another process is at it.
    """
    started = time.perf_counter()
    check_output(recipe.output)
    rows, data = plan(recipe, source), open_data(recipe)
    arms = Arms(data)
    arms.check()
    claim_folder(recipe.output, CONTENTS, OTHER)
    with only_here(recipe.output):
        content = _finish_all(recipe, rows, data, arms)
        if recipe.submission:
            print(submit(recipe, recipe.submission, data, arms))
    show(content)
    print(f"It took {duration(time.perf_counter() - started)}.")
    print(recipe.output / "rank.html")


def _finish_all(recipe: Recipe, rows: list[Planned], data: Data, arms: Arms) -> Content:
    comparisons, written = Comparisons(data), time.perf_counter()
    for number, row in enumerate(rows, 1):
        name = f"[{number}/{len(rows)}] {row.title}"
        if row.place.is_finished():
            say(f"{name}: finished already")
            continue
        start = time.perf_counter()
        finish(row, data, arms)
        say(f"{name}: {duration(time.perf_counter() - start)}")
        if time.perf_counter() > written + _EVERY:
            write_output(content_of(recipe, rows, data, comparisons), recipe.output)
            written = time.perf_counter()
    content = content_of(recipe, rows, data, comparisons)
    write_output(content, recipe.output)
    return content
