"""Attribute Precision@K and Recall@K: how many attributes a query and what is found for it have in common.

Source: Bhuptani and Patil, Image Based Recommendation System, section IV.E: an item found scores the share of five
attributes in which it agrees with the query, and K is 6. Random weights beat pretrained ones for colour and lose
everywhere else, so each attribute has a value of its own beside the mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
NO_VALUE = -1
MEAN = "mean"
HM = ("product_type_name", "garment_group_name", "index_group_name", "colour_group_name", "section_name")
FASHION_PRODUCT = ("gender", "masterCategory", "subCategory", "articleType", "baseColour")


@dataclass(frozen=True)
class Labels:
    """What is known of n items.

    Attributes:
        names: the attributes, a of them.
        codes: (n, a) the number of each item's value of each attribute; `NO_VALUE` if it has none.
        products: (n,) the number of each item's product; siblings have the same.
    """

    names: tuple[str, ...]
    codes: Places
    products: Places

    def __len__(self) -> int:
        return len(self.products)

    def at(self, places: Places) -> "Labels":
        """The labels of some items."""
        return Labels(self.names, self.codes[places], self.products[places])


@dataclass(frozen=True)
class Agreement:
    """Precision@K and Recall@K of q queries: (q, a + 1) each, the mean of the attributes last.

    A value is NaN if the query lacks the attribute; of recall also if no other item has the query's value.
    """

    precision: Floats
    recall: Floats


def agreement(labels: Labels, queries: Places, found: Places, siblings: bool) -> Agreement:
    """Score what was `found` (q, k) for the items at `queries` (q,).

    An item without a value agrees with none. `siblings`: whether items of the query's product could be found, and
    count among those that recall is the share of.
    """
    own = labels.codes[queries]
    hits = (labels.codes[found] == own[:, None, :]).sum(axis=1).astype(np.float64)
    known = own != NO_VALUE
    relevant = _relevant(labels, queries, siblings)
    return Agreement(_of_known(hits / found.shape[1], known), _share(hits, relevant, known))


def chance(labels: Labels, queries: Places, k: int, siblings: bool) -> Agreement:
    """What is expected of k items drawn at random from those that could be found, exactly."""
    relevant = _relevant(labels, queries, siblings)
    possible = candidates(labels.products, queries, siblings)[:, None]
    known = labels.codes[queries] != NO_VALUE
    return Agreement(_of_known(relevant / possible, known), _share(k * relevant / possible, relevant, known))


def candidates(products: Places, queries: Places, siblings: bool) -> Places:
    """How many items could be found for each query (q,): all but itself, or all but those of its product."""
    if siblings:
        return np.full(len(queries), len(products) - 1)
    return len(products) - np.bincount(products)[products[queries]]


def _relevant(labels: Labels, queries: Places, siblings: bool) -> Places:
    """How many of the items that could be found agree with each query in each attribute, (q, a)."""
    columns = []
    for codes in labels.codes.T:
        same = _frequencies(codes)[queries]
        in_product = labels.products * (codes.max() + 2) + codes + 1
        columns.append(same - (1 if siblings else _frequencies(in_product)[queries]))
    return np.column_stack(columns)


def _frequencies(codes: Places) -> Places:
    """How often each item's code occurs, (n,)."""
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return counts[inverse]


def _share(hits: Floats, relevant: Places, known: NDArray[np.bool_]) -> Floats:
    shares = np.divide(hits, relevant, out=np.full(hits.shape, np.nan), where=relevant > 0)
    return _of_known(shares, known)


def _of_known(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """The values, NaN where the query has no value, and the mean of the others as a last column."""
    values = np.where(known, values, np.nan)
    counted = (~np.isnan(values)).sum(axis=1)
    means = np.divide(np.nansum(values, axis=1), counted, out=np.full(len(values), np.nan), where=counted > 0)
    return np.column_stack([values, means])
