"""What `lookbook similar` answers: the queries searched, then shown on the screen, as JSON or on a page."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metrics.common.errors import UserError
from metrics.common.files import one_line
from metrics.common.formatting import printable
from recommend.items.catalogue import Filters
from recommend.items.listing import as_json, print_similar
from recommend.items.sheet import check_sheet, write_sheet
from recommend.items.similar import Query, SimilarItems

_SEED = 42


def answer(
    items: SimilarItems,
    ids: Sequence[str],
    photo: Path | None,
    sentence: str | None,
    sample: int | None,
    k: int,
    filters: Filters,
    html: Path | None,
    images: Path | None,
    as_text: bool,
    overwrite: bool = False,
) -> None:
    """Search what is asked for, and show it; nothing is shown or written if one query cannot be answered."""
    catalogue = None if html is None else check_sheet(items, html, images, overwrite)
    queries = _queries(items, ids, photo, sentence, sample)
    found = [items.nearest(query, k, None, filters) for query in queries]
    if html is not None and catalogue is not None:
        write_sheet(items, catalogue, queries, k, filters, html, images)
    if as_text:
        print(printable(one_line(json.dumps(as_json(items, found), ensure_ascii=False, indent=1))))
    else:
        print_similar(items, found)
        if html is not None:
            print(html)


def _queries(
    items: SimilarItems, ids: Sequence[str], photo: Path | None, sentence: str | None, sample: int | None
) -> list[Query]:
    if photo is not None or sentence is not None:
        return [items.query(photo, sentence)]
    if sample is not None:
        count = len(items.vectors)
        if sample > count:
            raise UserError(f"--sample: expected at most {count:,}, the number of items, found {sample:,}")
        places = np.sort(np.random.default_rng(_SEED).choice(count, sample, replace=False))
        ids = [items.vectors.ids[place] for place in places]
    return [items.item(key) for key in ids]
