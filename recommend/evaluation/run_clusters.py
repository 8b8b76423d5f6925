"""What the command `clusters` does."""

from collections.abc import Sequence
from pathlib import Path

from finetune.data.feature_cache import FeatureStore
from metrics.common.errors import UserError
from metrics.common.version import installed_version
from recommend.evaluation.cluster_output import ClusterResult
from recommend.evaluation.cluster_study import cluster_rows, study
from recommend.evaluation.request import attributes_of, draw_queries, group_of, named, read_setting
from recommend.evaluation.trials import Run, groups_with_columns
from recommend.features.fusion import UnitVectors
from recommend.items.clusters import ClusterMethod, cluster

K = 6


def cluster_counts(text: str) -> list[int]:
    """The numbers of a list such as `2,5,10`, ascending. Raises `UserError` if there is anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"--try {text}: expected numbers of clusters with commas between them, such as 2,5,10,20")
    return sorted({int(part) for part in parts})


def run_clusters(
    store: FeatureStore,
    k: int,
    method: ClusterMethod,
    dimensions: int,
    ks: Sequence[int],
    probes: int,
    items: Path | None,
    attributes: Sequence[str],
    group: str | None,
    each: int,
    siblings: bool,
) -> ClusterResult:
    """Cluster a store's items, and compare `ks` numbers of clusters. Raises `UserError` as what it calls."""
    if items is not None and not ks:
        raise UserError("--items: tells the precision at each number of clusters; give the numbers by --try 2,5,10")
    run = None if items is None else _run(store, items, attributes, group, each, siblings)
    vectors = UnitVectors([store])
    rows, what = cluster_rows(vectors, dimensions)
    made = cluster(rows, k, method)
    compared = study(rows, ks, method, probes, run) if ks else None
    signature = f"{made.method}|{what}|store:{store.path.name}={named(store)}|version:{installed_version()}"
    if run:
        searched = f"mean P@{K}|attributes:{'+'.join(run.setting.labels.names)}|queries:{len(run.queries)}"
        signature = f"{searched}|siblings:{'in' if siblings else 'out'}|nprobe:{probes}|{signature}"
    return ClusterResult(vectors.ids, made, what, run.groups if run else (), compared, signature)


def _run(
    store: FeatureStore, items: Path, attributes: Sequence[str], group: str | None, each: int, siblings: bool
) -> Run:
    setting = read_setting([store], items, attributes_of(items, attributes), group_of(items, group))
    queries = draw_queries(setting.groups, each)
    return Run(setting, queries, groups_with_columns(setting, queries)[0], K, siblings)
