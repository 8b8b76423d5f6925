"""Methods of search side by side: Precision@K by group and attribute, and the time of a query.

Source: Bhuptani and Patil, Image Based Recommendation System, Table I: exact cosine, five reductions to 100 dimensions,
and clusters of the kernel PCA's vectors, of which a query is compared with the nearest alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Literal

import numpy as np

from metrics.common.errors import UserError
from metrics.common.version import installed_version
from recommend.evaluation.attributes import MEAN, Agreement, Places, agreement
from recommend.evaluation.estimates import Estimate, estimated
from recommend.evaluation.neighbours import check_k
from recommend.evaluation.request import Setting, draw_queries, named
from recommend.features.fusion import Rows, UnitVectors
from recommend.features.reduce import draw_sample, reduce_vectors
from recommend.features.reducers import EXACT_TSNE, Method
from recommend.items.clusters import ClusterMethod, ClusterSearch, cluster, one_cluster

Named = Literal["exact", "pca", "kernel-pca", "isomap", "umap", "tsne", "kmeans", "spectral"]
ALL: tuple[Named, ...] = ("exact", "pca", "kernel-pca", "isomap", "umap", "tsne", "kmeans", "spectral")
REDUCTIONS: tuple[Method, ...] = ("pca", "kernel-pca", "isomap", "umap")
CLUSTERS: tuple[ClusterMethod, ...] = ("kmeans", "spectral")
FEWEST = 30  # queries of a group with a column of its own
PUBLISHED_GROUPS = ("Footwear", "Apparel", "Accessories")
PUBLISHED = {
    "ResNet-50, 2,048 d": (76.76, 79.53, 80.26, "11 s"),
    "PCA, 100 d": (75.8, 79.53, 79.7, "3.4 s"),
    "kernel PCA, 100 d": (77.4, 81.23, 81.94, "3.4 s"),
    "Isomap, 100 d": (75, 78.33, 80.1, "3.4 s"),
    "UMAP, 100 d": (77.23, 79.34, 80.23, "3.4 s"),
    "t-SNE, 100 d": (76.23, 79.87, 80.1, "3.4 s"),
    "spectral clusters": (77.59, 81.47, 79.36, "2.7 s"),
    "k-means": (76.59, 80.6, 79.10, "2.7 s"),
}


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
class MethodStudy:
    """The result of `compare-methods`.

    Attributes:
        groups: those with a column of their own.
        rows: methods on all items.
        sample_rows: methods that cannot map more than a sample, beside exact cosine on that sample.
        notes: what was left out.
        signature: what determines the numbers.
    """

    k: int
    groups: Sequence[str]
    rows: Sequence[MethodRow]
    sample_rows: Sequence[MethodRow]
    sample: int
    notes: Sequence[str]
    signature: str


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


def chosen_methods(names: Sequence[str]) -> list[Named]:
    """The methods of these names, in the table's order; all without any. Raises `UserError` for an unknown one."""
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        raise UserError(f"--method {unknown[0]}: expected one of {', '.join(ALL)}")
    return [name for name in ALL if not names or name in names]


def compare(
    vectors: UnitVectors,
    setting: Setting,
    wanted: Sequence[Named],
    k: int,
    siblings: bool,
    each: int | None,
    dimensions: int,
    clusters: int,
    probes: int,
) -> MethodStudy:
    """Measure the `wanted` methods on the items of `vectors`, which are those of `setting`, in its order.

    `each`: how many queries are drawn of each group. Raises `UserError` as the methods do.
    """
    queries = draw_queries(setting.groups, each)
    groups, notes = groups_with_columns(setting, queries)
    wanted, absent = _installed(wanted)
    run = Run(setting, queries, groups, k, siblings)
    rows = list(_on_all(run, vectors, wanted, dimensions, clusters, probes))
    sample = draw_sample(len(vectors), EXACT_TSNE)
    sample_rows = list(_on_sample(run, vectors, sample, each, dimensions)) if "tsne" in wanted else []
    signature = (
        f"mean P@{k}|attributes:{'+'.join(setting.labels.names)}|siblings:{'in' if siblings else 'out'}|"
        f"items:{len(vectors)}|queries:{len(queries)}|store:{vectors.stores[0].path.name}="
        f"{named(vectors.stores[0])}|time:median of one query alone|version:{installed_version()}"
    )
    return MethodStudy(k, groups, rows, sample_rows, len(sample), [*notes, *absent], signature)


def groups_with_columns(setting: Setting, queries: Places) -> tuple[list[str], list[str]]:
    """The groups of at least `FEWEST` queries, and a note that names the others."""
    counts = np.bincount(setting.groups[queries], minlength=len(setting.group_names))
    shown = [name for name, count in zip(setting.group_names, counts, strict=True) if count >= FEWEST]
    few = [name or "(none)" for name in setting.group_names if name not in shown]
    note = f"Groups of fewer than {FEWEST} queries count in all, without a column: {', '.join(few)}."
    return shown, [note] if few else []


def _installed(wanted: Sequence[Named]) -> tuple[list[Named], list[str]]:
    packages = {"umap": "umap", "tsne": "sklearn", "kmeans": "faiss"}
    extras = {"umap": "umap", "kmeans": "recommend"}
    absent = [name for name in wanted if name in packages and find_spec(packages[name]) is None]
    notes = [f"{name} is left out: it is not installed; run: pip install '.[{extras[name]}]'." for name in absent]
    return [name for name in wanted if name not in absent], notes


def _on_all(
    run: Run, vectors: UnitVectors, wanted: Sequence[Named], dimensions: int, clusters: int, probes: int
) -> Iterator[MethodRow]:
    everything = vectors.rows()
    if "exact" in wanted:
        name = f"exact cosine, {everything.shape[1]:,} d"
        yield run.measure(name, everything, ClusterSearch(everything, one_cluster(everything)))
    reduced = {}
    for method in REDUCTIONS:
        if method in wanted or (method == "kernel-pca" and set(CLUSTERS) & set(wanted)):
            result = reduce_vectors(vectors, method, dimensions)
            reduced[method] = recentred(result.rows)
        if method in wanted:
            rows = reduced[method]
            yield run.measure(result.method, rows, ClusterSearch(rows, one_cluster(rows)))
    for kind in CLUSTERS:
        if kind in wanted:
            rows = reduced["kernel-pca"]
            made = cluster(rows, clusters, kind)
            name = f"{made.method} of kernel PCA {dimensions}, {probes} searched"
            yield run.measure(name, rows, ClusterSearch(rows, made, probes))


def _on_sample(
    run: Run, vectors: UnitVectors, sample: Places, each: int | None, dimensions: int
) -> Iterator[MethodRow]:
    """t-SNE beside exact cosine on the same items; the queries are drawn anew among these."""
    reduced = reduce_vectors(vectors, "tsne", dimensions)
    few = run.setting.at(sample)
    groups, _ = groups_with_columns(few, draw_queries(few.groups, each))
    part = Run(few, draw_queries(few.groups, each), groups, run.k, run.siblings)
    exact = vectors.rows(sample)
    yield part.measure(f"exact cosine, {exact.shape[1]:,} d", exact, ClusterSearch(exact, one_cluster(exact)))
    rows = recentred(reduced.rows)
    rows = rows if len(rows) == len(sample) else rows[sample]  # in two dimensions it maps all items
    yield part.measure(reduced.method, rows, ClusterSearch(rows, one_cluster(rows)))


def recentred(rows: Rows) -> Rows:
    """Reduced rows less their mean, at length one, as the search of a store would have them."""
    centred = rows - rows.mean(axis=0)
    units: Rows = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.float32(1e-12))
    return units
