"""One method of search tried on the queries: what it finds, how long a query takes, what it is compared with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from recommend.evaluation.attributes import MEAN, Agreement, Places, agreement
from recommend.evaluation.estimates import Estimate, estimated
from recommend.evaluation.neighbours import check_k
from recommend.evaluation.request import Setting
from recommend.features.fusion import Rows
from recommend.items.clusters import ClusterSearch

FEWEST = 30  # queries of a group with a column of its own


@dataclass(frozen=True)
class MethodRow:
    """One method.

    Attributes:
        name: what it does, with its settings.
        groups: the mean P@K of each group.
        attributes: P@K of each attribute and their mean, over all queries.
        milliseconds: the median time of one query alone.
        compared: the mean share of the items that a query is compared with.
        widened: how many queries needed more clusters than they were to look into.
    """

    name: str
    groups: Mapping[str, Estimate]
    attributes: Mapping[str, Estimate]
    milliseconds: float
    compared: float
    widened: int


@dataclass(frozen=True)
class Run:
    """What all methods are measured on: items, queries, k, and whether siblings may be found."""

    setting: Setting
    queries: Places
    groups: Sequence[str]
    k: int
    siblings: bool

    def measure(self, name: str, rows: Rows, search: ClusterSearch) -> MethodRow:
        """Search the unit rows (n, d) for every query, one after another. Raises `UserError` if k is too large."""
        check_k(self.k, self.setting.labels.products, self.queries, self.siblings)
        owners = np.arange(len(rows)) if self.siblings else self.setting.labels.products
        found, seconds = [], []
        for query in self.queries:
            start = perf_counter()
            found.append(search.search(rows[query], self.k, _same_owner(owners, query)))
            seconds.append(perf_counter() - start)
        scores = agreement(self.setting.labels, self.queries, np.stack(found), self.siblings)
        groups = {group: self._of_group(group, scores) for group in self.groups}
        names, products = self.setting.labels.names, self.setting.labels.products[self.queries]
        attributes = estimated(name, scores, names, products).precision
        share = search.compared / len(self.queries) / len(rows)
        return MethodRow(name, groups, attributes, 1000 * float(np.median(seconds)), share, search.widened)

    def _of_group(self, group: str, scores: Agreement) -> Estimate:
        inside = self.setting.groups[self.queries] == self.setting.group_names.index(group)
        part = Agreement(scores.precision[inside], scores.recall[inside])
        products = self.setting.labels.products[self.queries][inside]
        return estimated(group, part, self.setting.labels.names, products).precision[MEAN]


def _same_owner(owners: Places, query: int) -> Callable[[Places], np.ndarray]:
    return lambda members: np.asarray(owners[members] == owners[query])


def groups_with_columns(setting: Setting, queries: Places) -> tuple[list[str], list[str]]:
    """The groups of at least `FEWEST` queries, and a note that names the others."""
    counts = np.bincount(setting.groups[queries], minlength=len(setting.group_names))
    shown = [name for name, count in zip(setting.group_names, counts, strict=True) if count >= FEWEST]
    few = [name or "(none)" for name in setting.group_names if name not in shown]
    note = f"Groups of fewer than {FEWEST} queries count in all, without a column: {', '.join(few)}."
    return shown, [note] if few else []


def recentred(rows: Rows) -> Rows:
    """Reduced rows less their mean, at length one, as the search of a store would have them."""
    centred = rows - rows.mean(axis=0)
    units: Rows = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.float32(1e-12))
    return units
