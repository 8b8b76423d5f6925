"""What the commands of this room read: stores of the same items, their attributes, the queries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from recommend.common.columns import (
    SOURCE,
    ItemColumns,
    catalogue_of,
    column_names,
    columns_by_catalogue,
    has_column,
    numbered,
    read_columns,
)
from recommend.evaluation.attributes import FASHION_PRODUCT, HM, NO_VALUE, Labels, Places

SEED = 42
GROUPS = ("product_group_name", "masterCategory")


@dataclass(frozen=True)
class Setting:
    """The items that all stores have, in the order of the first, and what is measured on them.

    Attributes:
        ids: n of them.
        labels: their attributes and products.
        groups: (n,) the number of each item's group, and the groups' names; one group without a name if not asked for.
        left_out: by store, how many of its items another store lacks.
    """

    ids: list[str]
    labels: Labels
    groups: Places
    group_names: list[str]
    left_out: dict[str, int]

    def at(self, places: Places) -> "Setting":
        """The same of some items."""
        ids = [self.ids[place] for place in places]
        return replace(self, ids=ids, labels=self.labels.at(places), groups=self.groups[places])


def attributes_of(table: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """The `wanted` columns, else those of H&M or of the fashion-product data set. Raises `UserError`."""
    if wanted:
        if len(set(wanted)) != len(wanted):
            raise UserError(f"--attribute: {', '.join(wanted)}: name each column once")
        return tuple(wanted)
    if known := known_attributes(table):
        return known
    raise UserError(
        f"{table}: has the columns neither of H&M ({', '.join(HM)}) nor of the fashion-product data set "
        f"({', '.join(FASHION_PRODUCT)}); name yours by --attribute COLUMN"
    )


def known_attributes(table: Path) -> tuple[str, ...]:
    """The columns of H&M or of the fashion-product data set, if the table has them, else none."""
    names = {name.removeprefix(SOURCE) for name in column_names(table)}
    return next((known for known in (HM, FASHION_PRODUCT) if names.issuperset(known)), ())


def group_of(table: Path, wanted: str | None) -> str | None:
    """The `wanted` column, else the one that the paper's table, or H&M's, is grouped by; None if there is none."""
    names = {name.removeprefix(SOURCE) for name in column_names(table)}
    return wanted or next((name for name in GROUPS if name in names), None)


def read_setting(
    stores: Sequence[FeatureStore], table: Path, attributes: Sequence[str], group: str | None = None
) -> Setting:
    """Align stores and table. Raises `UserError` if they have no item in common, or as `read_columns`."""
    shared = set(stores[0].ids).intersection(*(store.ids for store in stores[1:]))
    ids = [key for key in stores[0].ids if key in shared]
    if not ids:
        raise UserError(f"{', '.join(str(store.path) for store in stores)}: the stores have no item in common")
    columns = read_columns(table, ids, [*attributes, *([group] if group else [])])
    names = sorted(set(columns.values[group])) if group else [""]
    groups = numbered(columns.values[group]) if group else np.zeros(len(ids), dtype=np.int64)
    left_out = {store.path.name: len(store) - len(ids) for store in stores if len(store) > len(ids)}
    return Setting(ids, _labels(columns, attributes), groups, names, left_out)


def lacking(table: Path, ids: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A line for each of several catalogues and each column that its table lacks: so many items have no value.

    Raises `UserError` if there is no table.
    """
    tables = columns_by_catalogue(table)
    counts = Counter(catalogue_of(key, tables) for key in ids)
    return [
        f"{counts[name]:,} items of {name} have no {column}"
        for name, known in tables.items()
        for column in columns
        if counts[name] and not has_column(column, known)
    ]


def _labels(columns: ItemColumns, attributes: Sequence[str]) -> Labels:
    codes = []
    for name in attributes:
        values = columns.values[name]
        known = np.array([value != "" for value in values])
        if not known.any():
            raise UserError(f"attribute {name}: every value is empty; name another by --attribute COLUMN")
        codes.append(np.where(known, numbered(values), NO_VALUE))
    return Labels(tuple(attributes), np.column_stack(codes), columns.products)


def draw_queries(groups: Places, each: int | None) -> Places:
    """At most `each` items of every group, drawn with a fixed seed; all items without a number."""
    if each is None:
        return np.arange(len(groups))
    draw = np.random.default_rng(SEED)
    drawn = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        drawn.append(draw.permutation(members)[:each])
    return np.sort(np.concatenate(drawn))


def halves(products: Places) -> tuple[Places, Places]:
    """Places of two halves, products whole: what is chosen on one has seen no sibling of the other."""
    numbers = np.unique(products)
    first = np.random.default_rng(SEED).permutation(numbers)[: len(numbers) // 2]
    chosen = np.isin(products, first)
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def named(store: FeatureStore) -> str:
    """The encoder of a store, without the folder that a model was loaded from, pooling and hash, for signatures."""
    return f"{store.about.encoder_shown}/{store.about.pooling}:{store.digest[:8]}"


def distinct_names(stores: Sequence[FeatureStore]) -> None:
    """Raise `UserError` if two stores' folders have the same name, by which tables call them."""
    names = [store.path.name for store in stores]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise UserError(f"two stores are called {repeated}; name each folder once, and give them different names")
