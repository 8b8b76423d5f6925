"""`items.parquet`: every row of a catalogue's table, in its order, with what became of it.

Its columns are `id`, `product_id`, `image` (relative to the catalogue's folder; null without a photo, or if the photo
is inside a data set), `description` as it is written in the table, `role`, and every column of the table itself as
`source.COLUMN`. All are strings. The role is `train`, `validation`, `test`, `undescribed` or `dropped: RULE`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from finetune.data.readers import TEXT, read_parquet
from metrics.common.files import atomic_file

ITEMS = "items.parquet"
SOURCE = "source."
LIMIT = "limit"
DROPPED = "dropped: "
REMEDY = "make it again by `lookbook prepare`"


def source_items(rows: pd.DataFrame, source: pd.DataFrame) -> pd.DataFrame:
    """The items without their roles: `rows` of a loader, captions still in their own case, beside the whole table."""
    ours = pd.DataFrame({"id": rows["id"], "product_id": rows["product_id"]})
    ours["image"] = [image if isinstance(image, str) and image else None for image in rows["image"]]
    ours["description"] = rows["caption"]
    return ours.join(source.add_prefix(SOURCE))


def with_roles(items: pd.DataFrame, parts: dict[str, pd.DataFrame], dropped: dict[str, list[str]]) -> pd.DataFrame:
    """The items with their roles: the part they are in, else the rule that dropped them, else `data.limit`."""
    roles = {key: f"{DROPPED}{rule}" for rule, ids in dropped.items() for key in ids}
    roles |= {key: name for name, part in parts.items() for key in part["id"]}
    named = [roles.get(key, f"{DROPPED}{LIMIT}") for key in items["id"]]
    table = items.copy()
    table.insert(table.columns.get_loc("description") + 1, "role", pd.Series(named, items.index, dtype=object))
    return table


def count_dropped(items: pd.DataFrame, dropped: dict[str, list[str]]) -> Counter[str]:
    """How many each rule dropped: items by their roles, and what of `dropped` is no item, such as other files."""
    counts = Counter(role.removeprefix(DROPPED) for role in items["role"] if role.startswith(DROPPED))
    known = set(items["id"])
    for rule, names in dropped.items():
        counts[rule] += len(set(names) - known)
    return +counts


def write_items(path: Path, items: pd.DataFrame) -> None:
    """Write the table to `path`, whole or not at all; raises `UserError` if it cannot be written."""
    with atomic_file(path) as draft:
        items.to_parquet(draft, index=False)


def read_items(path: Path, columns: Sequence[str] | None = None, remedy: str = REMEDY) -> Any:
    """The table at `path`, or some of its columns, every value a string or missing.

    Raises `UserError`, which `remedy` ends, if it is missing or damaged, lacks a column, or one has something else.
    """
    wanted = None if columns is None else dict.fromkeys(columns, TEXT)
    return read_parquet(path, remedy, wanted).to_pandas(ignore_metadata=True).astype(object)
