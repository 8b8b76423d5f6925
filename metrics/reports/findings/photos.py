"""Scores by the number of an item's photo among those of its product: partial views and backs come later."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from metrics.common.measure_names import HEADLINE
from metrics.measures.statistics import Floats
from metrics.records.captions import CaptionRecord
from metrics.scoring.suite import Evaluation, SystemScores
from metrics.text.ngrams import Integers

_ROW = re.compile(r"\.hdf5/(\d{1,15})$")
_LAST = 10


def scores_by_photo(evaluation: Evaluation) -> list[list[dict[str, Any]]]:
    """Return, for each system, a row of JSON for each photo number; [] if products have no photos after one another.

    A row has `photo` (`10 and later` is the last), `n`, and of each measure, in the order of headlines, `scores`: the
    mean of items' own values, and `first`: that of the first photos of the same items' products. Products differ in how
    many photos they have, so that a photo number compares only with the first ones next to it.
    """
    places = _rows_and_firsts(evaluation.items)
    if places is None:
        return [[] for _ in evaluation.results]
    rows, firsts = places
    numbers = np.minimum(rows - rows[firsts] + 1, _LAST)
    measures = [name for name in HEADLINE if name in evaluation.measures]
    return [_by_number(result, measures, numbers, firsts) for result in evaluation.results]


def _rows_and_firsts(items: Sequence[CaptionRecord]) -> tuple[Integers, Integers] | None:
    """Return each item's row and the place of its product's first photo, (n,) each; None unless products have several.

    Several photos after one another are FACAD's layout, recognised by it: `image` is a row of an HDF5 file
    (`FILE.hdf5/ROW`), where the rows of a product are neighbours, so that a photo's number is its row counted from the
    product's first among the items. Elsewhere items of one product are its colourways, each with a photo of its own.
    """
    keyed = [(item.product_id, int(match[1])) for item in items if (match := _ROW.search(item.image or ""))]
    firsts: dict[str | None, int] = {}
    for place, (product, row) in enumerate(keyed):
        if row < keyed[firsts.setdefault(product, place)][1]:
            firsts[product] = place
    if len(keyed) < len(items) or None in firsts or len(firsts) == len(items):
        return None
    return np.array([row for _, row in keyed]), np.array([firsts[product] for product, _ in keyed])


def _by_number(
    result: SystemScores, measures: Sequence[str], numbers: Integers, firsts: Integers
) -> list[dict[str, Any]]:
    table = []
    for number in np.unique(numbers):
        places = np.flatnonzero(numbers == number)
        values = {name: result.scores["all"][name].per_item for name in measures}
        table.append(
            {
                "photo": f"{number} and later" if number == _LAST else str(number),
                "n": len(places),
                "scores": {name: _mean(of[places]) for name, of in values.items()},
                "first": {name: _mean(of[firsts[places]]) for name, of in values.items()},
            }
        )
    return table


def _mean(values: Floats) -> float | None:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else None
