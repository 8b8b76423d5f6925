"""What `items.parquet` says of the items that are searched, and which of them a query may find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.common.errors import UserError
from recommend.common.columns import ItemColumns, catalogue_of, columns_by_catalogue, has_column, numbered, read_columns
from recommend.items.exact import Codes, Pairs, Places

SAME = "same"
# The first of these that a table has; H&M's, the fashion product data set's, a folder's.
CATEGORY = ("product_type_name", "articleType", "category")
COLOUR = ("colour_group_name", "baseColour", "colour", "color")
_SHOWN = ("image", "description")


@dataclass(frozen=True)
class Catalogue:
    """The items in the order of their ids; texts are empty where the table has none.

    Attributes:
        ids: the items.
        products: (n,) the number of each item's product.
        category_column: where the categories are from, of several catalogues perhaps several names; None if no table
            has such a column.
        colour_column: likewise.
        categories: (n,) texts.
        colours: (n,) texts.
        images: (n,) paths in the catalogue's folder.
        descriptions: (n,) texts.
    """

    ids: Sequence[str]
    products: Places
    category_column: str | None
    colour_column: str | None
    categories: Sequence[str]
    colours: Sequence[str]
    images: Sequence[str]
    descriptions: Sequence[str]


@dataclass(frozen=True)
class Filters:
    """Which items a query may find.

    Attributes:
        category: only items of this category; `same`: of the query's.
        colour: likewise.
        siblings: whether items of the query's product may be found.
    """

    category: str | None = None
    colour: str | None = None
    siblings: bool = True

    def any(self) -> bool:
        """Whether they leave anything out."""
        return bool(self.category or self.colour or not self.siblings)


def read_catalogue(path: Path, ids: Sequence[str], category: str | None = None, colour: str | None = None) -> Catalogue:
    """Read the table for the items `ids`; categories and colours from the columns of these names, or of known ones.

    Of several catalogues, each table's own. Raises `UserError` if a table is missing, or none has an item or a named
    column.
    """
    tables = columns_by_catalogue(path)
    choices = [_chosen(tables, [category] if category else CATEGORY), _chosen(tables, [colour] if colour else COLOUR)]
    choices += [_chosen(tables, [name]) for name in _SHOWN]
    named = [name for name in (category, colour) if name]
    wanted = dict.fromkeys([*named, *(name for choice in choices for name in choice.values())])
    columns = read_columns(path, ids, list(wanted))
    owners = [catalogue_of(key, tables) for key in ids]
    texts = [_texts(columns, choice, owners) for choice in choices]
    shown = [", ".join(dict.fromkeys(choice.values())) or None for choice in choices[:2]]
    return Catalogue(ids, columns.products, shown[0], shown[1], *texts)


def allowed(catalogue: Catalogue, filters: Filters, place: int | None) -> NDArray[np.bool_]:
    """Which items (n,) a query may find; `place` is the query's own, None if it is no item.

    Raises `UserError` if no item has the category or colour, or the query has none of its own.
    """
    mask = np.ones(len(catalogue.ids), bool)
    for what, wanted in (("category", filters.category), ("colour", filters.colour)):
        if wanted is not None:
            mask &= _matching(_values(catalogue, what), wanted, what, place)
    if place is not None:
        mask[place] = False
        if not filters.siblings:
            mask &= catalogue.products != catalogue.products[place]
    return mask


def pairs(catalogue: Catalogue, filters: Filters) -> Pairs:
    """Which pairs of items count when all are searched for all; an item without a category or colour finds none by it.

    Raises `UserError` for a filter by a fixed value.
    """
    for what, wanted in (("category", filters.category), ("colour", filters.colour)):
        if wanted not in (None, SAME):
            raise UserError(f"--{what} {wanted}: with --all expected `{SAME}`, the category or colour of each item")
    count = len(catalogue.ids)
    apart = np.arange(count) if filters.siblings else catalogue.products
    kept = [what for what in ("category", "colour") if getattr(filters, what)]
    if not kept:
        return Pairs(_codes(apart))
    values = np.column_stack([_values(catalogue, what) for what in kept])
    alike = numbered(["\0".join(row) for row in values])
    without = (values == "").any(axis=1)
    alike[without] = count + np.arange(count)[without]  # alike to none
    return Pairs(_codes(apart), _codes(alike))


def _matching(values: NDArray[np.str_], wanted: str, what: str, place: int | None) -> NDArray[np.bool_]:
    if wanted == SAME:
        if place is None:
            raise UserError(f"--{what} {SAME}: a photo or a sentence has none; name the {what}")
        if not values[place]:
            raise UserError(f"--{what} {SAME}: the item searched for has no {what}; name one, or leave the filter out")
        return np.asarray(values == values[place])
    mask = np.asarray(np.char.lower(values) == wanted.lower())
    if not mask.any():
        found = ", ".join(sorted(set(values.tolist()) - {""})[:20])
        raise UserError(f"--{what}: no item has {wanted}; found {found}")
    return mask


def _values(catalogue: Catalogue, what: str) -> NDArray[np.str_]:
    column, values = (
        (catalogue.category_column, catalogue.categories)
        if what == "category"
        else (catalogue.colour_column, catalogue.colours)
    )
    if column is None:
        raise UserError(f"--{what}: the table has no column of a known name; name it with --{what}-column")
    return np.array(values, dtype=np.str_)


def _chosen(tables: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, str]:
    """The first of `names` that each table has, by catalogue; nothing of a table that has none."""
    chosen = {}
    for catalogue, known in tables.items():
        if present := [name for name in names if has_column(name, known)]:
            chosen[catalogue] = present[0]
    return chosen


def _texts(columns: ItemColumns, chosen: Mapping[str, str], owners: Sequence[str]) -> list[str]:
    """Each item's text in the column that was chosen for its catalogue, its owner; empty if none was."""
    return [columns.values[chosen[owner]][place] if owner in chosen else "" for place, owner in enumerate(owners)]


def _codes(numbers: Places) -> Codes:
    return numbers.astype(np.int32)
