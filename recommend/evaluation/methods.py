"""Methods of search side by side: Precision@K by group and attribute, and the time of a query.

Source: Bhuptani and Patil, Image Based Recommendation System, Table I: exact cosine, five reductions to 100 dimensions,
and clusters of the kernel PCA's vectors, of which a query is compared with the nearest alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from finetune.config.command_line import EXTRA_OF
from metrics.bench.table import processor
from metrics.common.errors import UserError
from metrics.common.version import installed_version
from recommend.evaluation.attributes import Places
from recommend.evaluation.request import Setting, draw_queries, named
from recommend.evaluation.trials import MethodRow, Run, groups_with_columns, recentred
from recommend.features.fusion import UnitVectors
from recommend.features.reduce import draw_sample, reduce_vectors
from recommend.features.reducers import EXACT_TSNE, Method
from recommend.items.clusters import ClusterMethod, ClusterSearch, cluster, one_cluster

Named = Literal["exact", "pca", "kernel-pca", "isomap", "umap", "tsne", "kmeans", "spectral"]
ALL: tuple[Named, ...] = ("exact", "pca", "kernel-pca", "isomap", "umap", "tsne", "kmeans", "spectral")
REDUCTIONS: tuple[Method, ...] = ("pca", "kernel-pca", "isomap", "umap")
CLUSTERS: tuple[ClusterMethod, ...] = ("kmeans", "spectral")


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
    run, notes = _run(setting, each, k, siblings)
    wanted, absent = _installed(wanted)
    rows = list(_on_all(run, vectors, wanted, dimensions, clusters, probes))
    sample = draw_sample(len(vectors), EXACT_TSNE)
    sample_rows: list[MethodRow] = []
    if "tsne" in wanted:
        part, of_sample = _run(setting.at(sample), each, k, siblings)
        sample_rows = list(_on_sample(part, vectors, sample, dimensions))
        notes += [f"On the sample: {note}" for note in of_sample]
    signature = (
        f"mean P@{k}|attributes:{'+'.join(setting.labels.names)}|siblings:{'in' if siblings else 'out'}|"
        f"items:{len(vectors)}|queries:{len(run.queries)}|store:{vectors.stores[0].path.name}="
        f"{named(vectors.stores[0])}|time:median of one query alone, {processor()}|version:{installed_version()}"
    )
    return MethodStudy(k, run.groups, rows, sample_rows, len(sample), [*notes, *absent], signature)


def _run(setting: Setting, each: int | None, k: int, siblings: bool) -> tuple[Run, list[str]]:
    queries = draw_queries(setting.groups, each)
    groups, notes = groups_with_columns(setting, queries)
    return Run(setting, queries, groups, k, siblings), notes


def _installed(wanted: Sequence[Named]) -> tuple[list[Named], list[str]]:
    packages = {"umap": "umap", "tsne": "openTSNE", "kmeans": "faiss"}
    absent = [name for name in wanted if name in packages and find_spec(packages[name]) is None]
    notes = [
        f"{name} is left out: it is not installed; run: pip install '.[{EXTRA_OF[packages[name]]}]'." for name in absent
    ]
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


def _on_sample(part: Run, vectors: UnitVectors, sample: Places, dimensions: int) -> Iterator[MethodRow]:
    """t-SNE beside exact cosine on the same items."""
    reduced = reduce_vectors(vectors, "tsne", dimensions)
    exact = vectors.rows(sample)
    yield part.measure(f"exact cosine, {exact.shape[1]:,} d", exact, ClusterSearch(exact, one_cluster(exact)))
    rows = recentred(reduced.rows)
    rows = rows if len(rows) == len(sample) else rows[sample]  # in two dimensions it maps all items
    yield part.measure(reduced.method, rows, ClusterSearch(rows, one_cluster(rows)))
